"""Simulations of failures of shadows alone, and of all calls of the candidate."""

import math
from datetime import timedelta
from functools import partial
from typing import Final

import numpy as np

from flags.gate.checks.health import health_checks
from flags.gate.evidence import Count, Paired
from flags.gate.verdict import Outcome
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, evidence

_PLAYBOOK: Final = Playbook(flag=FLAG)
_PAIRS_AN_HOUR: Final = 800
_BEFORE: Final = 24
"""Hours at the step before the failures begin."""
_AFTER: Final = 7 * 24


def _hours(random: np.random.Generator, *, rollout: int, shadows: float, answers: float) -> float:
    """Return the hours until failures roll back, from when they begin; infinite if they never do.

    Of the shadows and of the answers, these shares fail.
    """
    step = _PLAYBOOK.steps_at(rollout)[0]
    pairs = active = failed = failed_answers = 0
    for hour in range(_BEFORE + _AFTER):
        here = int(random.binomial(_PAIRS_AN_HOUR, rollout / 100))
        pairs, active = pairs + _PAIRS_AN_HOUR, active + here
        if hour < _BEFORE:
            continue
        lost = int(random.binomial(here, answers))
        failed_answers += lost
        failed += lost + int(random.binomial(_PAIRS_AN_HOUR - here, shadows))
        health = {
            "failures": Paired(0, 0, failed, pairs - failed),
            "active_failures": Count(failed_answers, active),
        }
        held = timedelta(hours=hour + 1)
        found = evidence(rollout=rollout, held=held, pairs=pairs, health=health)
        [check] = [
            each for each in health_checks(found, _PLAYBOOK, step) if each.name == "failure_rate"
        ]
        if check.outcome is Outcome.FAIL:
            return float(hour + 1 - _BEFORE)
    return math.inf


def _rolled_back(random: np.random.Generator, *, rollout: int) -> bool:
    return math.isfinite(_hours(random, rollout=rollout, shadows=0.03, answers=0.001))


SCENARIOS: Final = (
    *(
        Scenario(
            f"3 % of shadows fail, .1 % of answers, at {rollout} %",
            "B12",
            Kind.FALSE_ROLLBACK,
            0.05,
            partial(one_by_one, partial(_rolled_back, rollout=rollout)),
            100,
        )
        for rollout in (10, 50)
    ),
    *(
        Scenario(
            f"3 % of shadows and answers fail, at {rollout} %",
            "B12",
            Kind.DELAY,
            48.0,
            partial(one_by_one, partial(_hours, rollout=rollout, shadows=0.03, answers=0.03)),
            40,
        )
        for rollout in (1, 10, 50)
    ),
)
