"""Simulations of time: ratios that differ by the hour or the day, and breaks after good days."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

import numpy as np

from flags.gate.blocks import DAY, WEEK, total
from flags.gate.checks.alarm_time import AlarmHistory
from flags.gate.error_rate import error_share
from flags.gate.evidence import Paired, Period
from flags.gate.expected_ratio import hourly_bets
from flags.gate.sequences import RatioSequence
from flags.gate.sequences.restart import detections
from flags.gate.verdict import Outcome
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Array, Kind, Scenario, one_by_one
from tests.support.evidence import output

_PLAYBOOK: Final = Playbook(flag="any")
_SINCE: Final = datetime(2024, 7, 1, tzinfo=UTC)
_ALARM_RATE, _OVERLAP = 0.005, 0.8
_LATEST: Final = 10 * DAY
"""Hours after the break at which a run is given up."""


def drawn(ratios: Sequence[float], pairs: int, random: np.random.Generator) -> list[Period]:
    """Draw the alarms of hours with the given alarm ratios."""
    found = []
    for hour, ratio in enumerate(ratios):
        both = _OVERLAP * _ALARM_RATE * min(1.0, ratio)
        only = (_ALARM_RATE - both, ratio * _ALARM_RATE - both)
        cells = random.multinomial(pairs, [both, *only, 1 - both - sum(only)]).tolist()
        found.append(Period(_SINCE + timedelta(hours=hour), Paired(*cells)))
    return found


def history(periods: Sequence[Period]) -> AlarmHistory:
    """Return the gate's evidence at the end of the last hour."""
    alarms = total(each.alarms for each in periods)
    until = _SINCE + timedelta(hours=len(periods))
    found = output(alarms, periods=tuple(periods))
    return AlarmHistory(found, alarms, until, _PLAYBOOK.gate, _PLAYBOOK, 1, required=True)


def rolled_back(periods: Sequence[Period], begun: int = 1) -> float:
    """Return the hours until the gate rolls back, with hourly looks from `begun` on.

    The detection of a break at an hour does not depend on later hours, so it is computed once. The
    ratio of all pairs is checked at the end of each day, and every two hours of the first two days.
    """
    whole = history(periods)
    alpha = whole.share("alarm_break") / 2
    found = [
        hour + 1.0
        for hours in hourly_bets(whole.counted, whole.break_limits)
        for (hour, _), after in zip(hours, detections(hours), strict=True)
        if hour + 1 >= begun and after.log_evidence >= -math.log(alpha)
    ]
    looks = (look for look in _looks(len(periods)) if look >= begun)
    found += islice(
        (float(look) for look in looks if history(periods[:look]).ratio().outcome is Outcome.FAIL),
        1,
    )
    return min(found, default=math.inf)


def by_day(hour: int) -> float:
    """Return a ratio of 1.65 for six hours of the day, and of 1.0 over all of it."""
    return 1.65 if hour % DAY >= 18 else (24 - 6 * 1.65) / 18


def by_week(hour: int) -> float:
    """Return a ratio of 1.6 at the end of the week, and of 1.0 over all of it."""
    return 1.6 if hour % WEEK >= 5 * DAY else (7 - 2 * 1.6) / 5


def _healthy(
    ratio: Callable[[int], float], pairs_a_day: int, days: int, random: np.random.Generator
) -> bool:
    begun = int(random.integers(WEEK))
    ratios = [ratio(begun + hour) for hour in range(days * DAY)]
    return math.isfinite(rolled_back(drawn(ratios, pairs_a_day // DAY, random)))


def _looks(hours: int) -> list[int]:
    """Look every two hours in the first two days, then at the end of each."""
    return [*range(1, 2 * DAY, 2), *range(2 * DAY, hours + 1, DAY)]


def _broken(pairs_a_day: int, random: np.random.Generator) -> float:
    """Return the hours until a break to a ratio of 2 after 14 good days is rolled back."""
    periods = drawn([1.0] * 14 * DAY + [2.0] * _LATEST, pairs_a_day // DAY, random)
    return rolled_back(periods, 14 * DAY + 1) - 14 * DAY


def _begun_at_the_break(pairs_a_day: int, random: np.random.Generator) -> float:
    """Return the hours until a test that begins at the break is significant, with hourly looks."""
    alpha = error_share(_PLAYBOOK.error_rate, "alarm_ratio") / 2
    periods = drawn([2.0] * _LATEST, pairs_a_day // DAY, random)
    for hours in range(1, _LATEST + 1):
        seen = history(periods[:hours])
        if RatioSequence(seen.alarms).above(_PLAYBOOK.gate.rollback.alarm_ratio, alpha):
            return float(hours)
    return float("inf")


def healthy(
    ratio: Callable[[int], float], pairs_a_day: int, random: np.random.Generator, runs: int
) -> Array:
    """Simulate acceptable candidates for two weeks."""
    return one_by_one(partial(_healthy, ratio, pairs_a_day, 14), random, runs)


def broken(pairs_a_day: int, random: np.random.Generator, runs: int) -> Array:
    """Simulate late breaks."""
    return one_by_one(partial(_broken, pairs_a_day), random, runs)


def begun_at_the_break(pairs_a_day: int, random: np.random.Generator, runs: int) -> Array:
    """Simulate tests that begin at a known break."""
    return one_by_one(partial(_begun_at_the_break, pairs_a_day), random, runs)


_NOMINAL: Final = _PLAYBOOK.error_rate

SCENARIOS: Final = (
    *(
        Scenario(
            f"1.65x at the day's peak, 1.0x over the day, {pairs:,} pairs a day",
            "B4",
            Kind.FALSE_ROLLBACK,
            _NOMINAL,
            partial(healthy, by_day, pairs),
            400,
        )
        for pairs in (20_000, 200_000, 2_000_000)
    ),
    *(
        Scenario(
            f"1.6x on the weekend, 1.0x over the week, {pairs:,} pairs a day",
            "B5",
            Kind.FALSE_ROLLBACK,
            _NOMINAL,
            partial(healthy, by_week, pairs),
            400,
        )
        for pairs in (20_000, 200_000)
    ),
    *(
        Scenario(
            f"14 days at 1.0x, then 2x, {pairs:,} pairs a day",
            "A9",
            Kind.DELAY,
            None,
            partial(broken, pairs),
            100,
        )
        for pairs in (20_000, 1_000_000)
    ),
    *(
        Scenario(
            f"a test that begins with 2x, {pairs:,} pairs a day",
            "A9",
            Kind.DELAY,
            None,
            partial(begun_at_the_break, pairs),
            200,
        )
        for pairs in (20_000, 1_000_000)
    ),
)
