"""Thresholds that change in the middle of the window: an alarm ratio of 1.6, then of 0.4."""

from datetime import timedelta
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from comparison.judgement.runs import changed_at
from flags.gate import Decision, decide
from flags.gate.blocks import total
from flags.gate.evidence import Paired, Period
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, SINCE, evidence, output

_DAYS: Final = 14
_PAIRS: Final = 4_000
"""Pairs per hour."""
_NANOSECONDS: Final = 10**9


def _advances(random: np.random.Generator, *, given: bool) -> bool:
    """Say whether the candidate advances; with a `given` beginning, both parts are evidence."""
    hours = [SINCE + timedelta(hours=hour) for hour in range(24 * _DAYS)]
    ratios = [1.6 if place < len(hours) // 2 else 0.4 for place in range(len(hours))]
    periods = [
        Period(begin, Paired(*random.multinomial(_PAIRS, _cells(ratio)).tolist()))
        for begin, ratio in zip(hours, ratios, strict=True)
    ]
    first = np.array([int(begin.timestamp()) * _NANOSECONDS for begin in hours])
    threshold = np.where(np.array(ratios) > 1, 0.5, 0.6)
    slots = pd.DataFrame(
        {
            "slot": first // (3_600 * _NANOSECONDS),
            "primary_threshold.score": threshold,
            "candidate_threshold.score": threshold,
            "n": _PAIRS,
            "first": first,
            "last": first + 3_599 * _NANOSECONDS,
        }
    )
    changed = changed_at(slots, SINCE, given=False)
    kept = tuple(each for each in periods if given or each.start >= changed)
    shown = output(total(each.alarms for each in kept), periods=kept)
    integrity = {"thresholds_since": changed} if given else {}
    playbook = Playbook(flag=FLAG)
    found = evidence(shown, rollout=0, held=timedelta(days=_DAYS), integrity=integrity)
    return decide(found, playbook, playbook.steps_at(0)[0]).decision is Decision.ADVANCE


def _cells(ratio: float, rate: float = 0.01, overlap: float = 0.9) -> list[float]:
    both = overlap * rate * min(1.0, ratio)
    return [both, rate - both, ratio * rate - both, 1 - rate - ratio * rate + both]


def _scenario(name: str, *, given: bool) -> Scenario:
    simulate = partial(one_by_one, partial(_advances, given=given))
    return Scenario(name, "A11", Kind.FALSE_ADVANCE, 0.01, simulate, 400)


SCENARIOS: Final = (
    _scenario("both thresholds changed", given=False),
    _scenario("both thresholds changed within --since", given=True),
)
