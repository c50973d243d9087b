"""Recent breaks: how soon they hold a broken candidate, and how often a healthy one is held."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import numpy as np

from flags.gate.blocks import DAY, total
from flags.gate.checks.recent import recent_checks
from flags.gate.evidence import Evidence, Minute, Paired, Period
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, SINCE, evidence, labelled, output

_PLAYBOOK: Final = Playbook(flag=FLAG)
_STEP: Final = _PLAYBOOK.steps[0]
_GOOD: Final = 14
"""Days before a break."""
_PAIRS_A_DAY: Final = 20_000
_ALARMS: Final = 0.005
_FAILURES: Final = 0.001
_POSITIVES_A_DAY: Final = 100
_LABELLED: Final = Paired(10_000, 5_000, 5_000, 380_000)
"""Alarms of the labelled pairs."""
_A_DAY: Final = DAY * 60
"""Minutes of a day."""


def _holds(found: Evidence, name: str) -> bool:
    return any(each.name == name for each in recent_checks(found, _PLAYBOOK, _STEP))


def _at(days: float, periods: Sequence[Period], minutes: Sequence[Minute] = ()) -> Evidence:
    """Return the gate's evidence after `days` days."""
    alarms = total(each.alarms for each in periods)
    found = output(alarms, periods=tuple(periods))
    return evidence(found, held=timedelta(days=days), health={"minutes": tuple(minutes)})


def _minutes(random: np.random.Generator, rates: Sequence[float]) -> Iterator[Minute]:
    """Draw the minutes after the good days, by the candidate's failure rates."""
    begun = int((SINCE + timedelta(days=_GOOD)).timestamp()) // 60
    pairs = random.poisson(_PAIRS_A_DAY / _A_DAY, len(rates))
    primary, candidate = random.binomial(pairs, _FAILURES), random.binomial(pairs, rates)
    for number, (n, *failed) in enumerate(zip(pairs, primary, candidate, strict=True)):
        if n:
            yield Minute(begun + number, float((failed[1] - failed[0]) / n), None, None)


def _hours(random: np.random.Generator, common: Sequence[float]) -> list[Period]:
    """Draw hours, by the share of the primary's alarms that are common alarms."""
    found = []
    for hour, share in enumerate(common):
        cells = [_ALARMS * share, *[_ALARMS * (1 - share)] * 2]
        drawn = random.multinomial(_PAIRS_A_DAY // DAY, [*cells, 1 - sum(cells)]).tolist()
        found.append(Period(SINCE + timedelta(hours=hour), Paired(*drawn)))
    return found


def failing_by_chance(random: np.random.Generator) -> bool:
    """Say whether a look holds a candidate that fails as often as the primary."""
    minutes = list(_minutes(random, [_FAILURES] * _A_DAY))
    return _holds(_at(_GOOD + 1, (), minutes), "recent_failure_rate")


def failing(random: np.random.Generator, rate: float) -> float:
    """Return the hours until new failures after good days hold, with a look every five minutes."""
    minutes = list(_minutes(random, [rate] * _A_DAY))
    begun = int((SINCE + timedelta(days=_GOOD)).timestamp()) // 60
    for look in range(5, _A_DAY + 1, 5):
        seen = [each for each in minutes if each.number < begun + look]
        # The day before had no failures, in each of its minutes.
        good = [Minute(begun - ago, 0.0, None, None) for ago in range(_A_DAY - look, 0, -1)]
        if _holds(_at(_GOOD + look / _A_DAY, (), good + seen), "recent_failure_rate"):
            return look / 60
    return math.inf


def other_alarms_by_chance(random: np.random.Generator, common: float) -> bool:
    """Say whether a look holds a candidate with a constant share of common alarms."""
    return _holds(_at(_GOOD, _hours(random, [common] * _GOOD * DAY)), "recent_alarm_overlap")


def other_alarms(random: np.random.Generator) -> float:
    """Return the hours until the candidate is held after it begins to alarm other requests."""
    after = 4 * DAY
    periods = _hours(random, [0.8] * _GOOD * DAY + [0.1] * after)
    for hours in range(1, after + 1):
        seen = periods[: _GOOD * DAY + hours]
        if _holds(_at(len(seen) / DAY, seen), "recent_alarm_overlap"):
            return float(hours)
    return math.inf


def _caught(random: np.random.Generator, lost: Sequence[float]) -> list[Period]:
    """Draw the positives of hours, by the share that only the primary alarms."""
    found = []
    for hour, share in enumerate(lost):
        positives = random.poisson(_POSITIVES_A_DAY / DAY)
        drawn = random.multinomial(positives, [0.6 - share, 0.1 + share, 0.1, 0.2]).tolist()
        found.append(Period(SINCE + timedelta(hours=hour), Paired(*drawn)))
    return found


def _recall_holds(periods: Sequence[Period]) -> bool:
    figures = labelled(total(each.alarms for each in periods), _LABELLED)
    found = output(caught=tuple(periods), **figures)
    return _holds(evidence(found, held=timedelta(hours=len(periods))), "recent_recall")


def equal_recall(random: np.random.Generator) -> bool:
    """Say whether a look holds a candidate with the primary's recall."""
    return _recall_holds(_caught(random, [0.0] * _GOOD * DAY))


def lost_recall(random: np.random.Generator, lost: float) -> float:
    """Return the hours until a loss of recall after good days holds; labels have no delay."""
    after = 10 * DAY
    periods = _caught(random, [0.0] * _GOOD * DAY + [lost] * after)
    for hours in range(1, after + 1):
        if _recall_holds(periods[: _GOOD * DAY + hours]):
            return float(hours)
    return math.inf


def _scenario(
    name: str, kind: Kind, nominal: float, one: Callable[..., Any], runs: int
) -> Scenario:
    return Scenario(name, "D2", kind, nominal, partial(one_by_one, one), runs)


SCENARIOS: Final = (
    _scenario(
        "of late, failures of .1 % on both sides",
        Kind.FALSE_HOLD,
        _PLAYBOOK.error_rate,
        failing_by_chance,
        400,
    ),
    *(
        _scenario(
            f"of late, {100 * common:.0f} % of the alarms in common as before",
            Kind.FALSE_HOLD,
            _PLAYBOOK.error_rate,
            partial(other_alarms_by_chance, common=common),
            400,
        )
        for common in (0.8, 0.55)
    ),
    *(
        _scenario(
            f"failures of {100 * rate:.0f} % begin after 14 days, 20,000 pairs a day",
            Kind.DELAY,
            24.0,
            partial(failing, rate=rate),
            50,
        )
        for rate in (0.05, 0.2)
    ),
    _scenario(
        "80 % of the alarms in common, after 14 days 10 %, 20,000 pairs a day",
        Kind.DELAY,
        24.0,
        other_alarms,
        50,
    ),
    _scenario(
        "of late, equal recall, 100 positives a day",
        Kind.FALSE_HOLD,
        _PLAYBOOK.error_rate,
        equal_recall,
        400,
    ),
    _scenario(
        "recall 20 points lower after 14 days, 100 positives a day",
        Kind.DELAY,
        72.0,
        partial(lost_recall, lost=0.2),
        50,
    ),
)
