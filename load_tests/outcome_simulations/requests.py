"""How many requests it takes to see harm, beside tests that do not know the flips.

All of them have an error rate of 5 %, ask whether the candidate is worse at all, and look after
every further thousand requests; the plain one is a z-test that looks once.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from scipy import stats

from flags.gate.evidence import Interval, OutcomeCell
from flags.gate.sequences import FlipRatioSequence, NormalSequence, UnitRatioSequence
from load_tests.outcome_simulations.population import Rates

ALPHA: Final = 0.05
POWER: Final = 0.8
_LOOK: Final = 1_000
_GROWTH: Final = 1.05
"""Later looks are further apart: so many times as many requests."""

TUNING: Final = 5_000
"""GrowthBook's default of the sequential tuning parameter N*."""

MOST: Final = 4_000_000
"""Requests at which a run ends."""


@dataclass(frozen=True, slots=True)
class Case:
    """A harm that is looked for at a rollout."""

    name: str
    rates: Rates
    rollout: float


def _cases() -> Iterator[Case]:
    rare = Rates(flips=0.02, on_flips=0.05, elsewhere=0.0092)
    often = Rates(flips=0.05, on_flips=0.05, elsewhere=0.0079)
    for what, rates in (("10 % of outcomes on flips", rare), ("25 % of outcomes on flips", often)):
        for harm in (1.5, 2.0):
            for rollout in (10.0, 50.0):
                yield Case(
                    f"{what}, {harm:g}x on them, {rollout:g} %", replace(rates, harm=harm), rollout
                )


CASES: Final = tuple(_cases())


@dataclass(slots=True)
class _Seen:
    """Count requests and events by arm, and by arm on flips."""

    requests: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    flips: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    events: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    on_flips: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})

    def add(self, random: np.random.Generator, case: Case, number: int) -> None:
        rates = case.rates
        candidate = int(random.binomial(number, case.rollout / 100))
        for arm, size in ((False, number - candidate), (True, candidate)):
            flips = int(random.binomial(size, rates.flips))
            rate = rates.on_flips * (rates.harm if arm else 1.0)
            on_flips = int(random.binomial(flips, rate))
            self.requests[arm] += size
            self.flips[arm] += flips
            self.on_flips[arm] += on_flips
            self.events[arm] += on_flips + int(random.binomial(size - flips, rates.elsewhere))

    def cells(self, share: float) -> tuple[OutcomeCell, ...]:
        return tuple(
            cell
            for arm in (False, True)
            for cell in (
                OutcomeCell(arm, share, True, 1.0, 1.0, self.on_flips[arm]),
                OutcomeCell(arm, share, False, 0.0, 1.0, self.events[arm] - self.on_flips[arm]),
            )
        )


def _by_flips(seen: _Seen, share: float) -> bool:
    return FlipRatioSequence(seen.cells(share)).above(1.0, ALPHA)


def _by_units(seen: _Seen, share: float) -> bool:
    return UnitRatioSequence(seen.cells(share)).above(1.0, ALPHA)


def _by_growthbook(seen: _Seen, _share: float) -> bool:
    """Say whether the one-sided asymptotic sequence of the difference of means is above 0.

    GrowthBook's documentation, "Sequential testing": Waudby-Smith et al. (2024), eq. 8, with
    N* = 5000; one-sided by twice the error rate.
    """
    if not all(seen.events.values()):
        return False
    means = {arm: seen.events[arm] / seen.requests[arm] for arm in seen.requests}
    variance = sum(mean * (1 - mean) / seen.requests[arm] for arm, mean in means.items())
    difference = means[True] - means[False]
    sequence = NormalSequence(
        Interval(difference, None, None), math.sqrt(variance), sum(seen.requests.values()), TUNING
    )
    return sequence.interval(2 * ALPHA)[0] > 0


TESTS: Final[dict[str, Callable[[_Seen, float], bool]]] = {
    "flips": _by_flips,
    "all units": _by_units,
    "GrowthBook": _by_growthbook,
}
"""By name, what decides at a look; `flips` is ours."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Hold the requests after which 80 % of the runs have seen the harm, by test."""

    case: Case
    requests: dict[str, float]


def needed(case: Case, runs: int, random: np.random.Generator) -> Needed:
    """Simulate one case: all tests look at the same requests."""
    found: dict[str, list[float]] = {name: [] for name in TESTS}
    for _ in range(runs):
        decided = _decided(case, random)
        for name in TESTS:
            found[name].append(decided.get(name, math.inf))
    quantiles = {
        name: float(np.quantile(values, POWER, method="higher")) for name, values in found.items()
    }
    return Needed(case, {"plain, one look": _plain(case), **quantiles})


def _decided(case: Case, random: np.random.Generator) -> dict[str, float]:
    """Return after how many requests each test has seen the harm."""
    seen, total, step, share = _Seen(), 0, _LOOK, case.rollout / 100
    decided: dict[str, float] = {}
    while len(decided) < len(TESTS) and total < MOST:
        seen.add(random, case, step)
        total += step
        for name, test in TESTS.items():
            if name not in decided and test(seen, share):
                decided[name] = total
        step = max(_LOOK, round(total * (_GROWTH - 1)))
    return decided


def _plain(case: Case) -> float:
    """Return the requests of a one-sided z-test of the difference of means, at one look."""
    share, rates = case.rollout / 100, case.rates
    first, second = rates.all, rates.all * rates.ratio
    variance = first * (1 - first) / (1 - share) + second * (1 - second) / share
    quantiles = stats.norm.ppf(1 - ALPHA) + stats.norm.ppf(POWER)
    return float(quantiles**2 * variance / (second - first) ** 2)
