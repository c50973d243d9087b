"""Requests that are needed to find harm, compared with tests that do not use flips.

All tests have an error rate of 5 %, test whether the candidate is worse at all, and look after
every further thousand requests; `plain` is a z-test with a single look.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from scipy import stats

from flags.gate.evidence import Interval
from flags.gate.sequences import FlipRatioSequence, NormalSequence, UnitRatioSequence
from load_tests.outcome_simulations.population import (
    BINARY,
    Floats,
    Rates,
    Requests,
    level_shares,
    shadow_quantile,
)

ALPHA: Final = 0.05
POWER: Final = 0.8
_LOOK: Final = 1_000
_GROWTH: Final = 1.05
"""Factor between the requests of later looks, which are further apart."""

TUNING: Final = 5_000
"""GrowthBook's default of the sequential tuning parameter N*."""

_SHADOW_SEED: Final = 1
"""Seed of the shadow that determines the cap of amounts."""

MOST: Final = 30_000_000
"""Requests after which a run is given up."""


@dataclass(frozen=True, slots=True)
class Case:
    """A harm at a rollout."""

    name: str
    rates: Rates
    rollout: float
    values: Floats = field(default_factory=lambda: BINARY)
    """As of `Requests`."""


def _cases() -> Iterator[Case]:
    rare = Rates(flips=0.02, on_flips=0.05, elsewhere=0.0092)
    often = Rates(flips=0.05, on_flips=0.05, elsewhere=0.0079)
    for what, rates in (("10 % of outcomes on flips", rare), ("25 % of outcomes on flips", often)):
        for harm in (1.5, 2.0):
            for rollout in (10.0, 50.0):
                yield Case(
                    f"{what}, {harm:g}x on them, {rollout:g} %", replace(rates, harm=harm), rollout
                )
    money = level_shares(shadow_quantile(np.random.default_rng(_SHADOW_SEED)))
    for rollout in (10.0, 50.0):
        name = f"money, 10 % of it on flips, 2x on them, {rollout:g} %"
        yield Case(name, replace(rare, harm=2.0), rollout, money)


CASES: Final = tuple(_cases())


def _by_flips(seen: Requests) -> bool:
    return FlipRatioSequence(seen.cells()).above(1.0, ALPHA)


def _by_units(seen: Requests) -> bool:
    return UnitRatioSequence(seen.cells()).above(1.0, ALPHA)


def _by_growthbook(seen: Requests) -> bool:
    """Say whether the one-sided asymptotic sequence of the difference of means is above 0.

    GrowthBook's documentation, "Sequential testing": Waudby-Smith et al. (2024), eq. 8, with
    N* = 5000; one-sided by twice the error rate.
    """
    moments = {arm: seen.moments(arm) for arm in seen.requests}
    if not all(mean for mean, _ in moments.values()):
        return False
    variance = sum(spread / seen.requests[arm] for arm, (_, spread) in moments.items())
    difference = moments[True][0] - moments[False][0]
    sequence = NormalSequence(
        Interval(difference, None, None), math.sqrt(variance), sum(seen.requests.values()), TUNING
    )
    return sequence.interval(2 * ALPHA)[0] > 0


TESTS: Final[dict[str, Callable[[Requests], bool]]] = {
    "flips": _by_flips,
    "all units": _by_units,
    "GrowthBook": _by_growthbook,
}
"""The tests by name, which decide at a look; `flips` is the gate's."""


@dataclass(frozen=True, slots=True)
class Needed:
    """The requests after which 80 % of the runs have found the harm, by test."""

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
    """Return the number of requests after which each test has found the harm."""
    seen, total, step = Requests(case.rates, case.values), 0, _LOOK
    decided: dict[str, float] = {}
    while len(decided) < len(TESTS) and total < MOST:
        seen.add(random, step, case.rollout)
        total += step
        for name, test in TESTS.items():
            if name not in decided and test(seen):
                decided[name] = total
        step = max(_LOOK, round(total * (_GROWTH - 1)))
    return decided


def _plain(case: Case) -> float:
    """Return the requests of a one-sided z-test of the difference of means, at one look."""
    share, rates = case.rollout / 100, case.rates
    amounts = Requests(rates, case.values).amounts
    mean, square = float(case.values @ amounts), float(case.values @ amounts**2)
    first, second = rates.all, rates.all * rates.ratio
    spread = (rate * square - (rate * mean) ** 2 for rate in (first, second))
    variance = next(spread) / (1 - share) + next(spread) / share
    quantiles = stats.norm.ppf(1 - ALPHA) + stats.norm.ppf(POWER)
    return float(quantiles**2 * variance / ((second - first) * mean) ** 2)
