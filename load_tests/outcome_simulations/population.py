"""Simulated units with outcomes during a rollout, counted in the cells that the gate sees.

An outcome is binary, or it is money. Amounts are log-normal, and counted in levels up to a cap, the
quantile of the amounts in a shadow before the canary, as in `comparison.counts.drawn.outcomes`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from comparison.counts.drawn.outcomes import LEVELS, QUANTILE
from flags.gate.evidence import OutcomeCell

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

SPREAD: Final = 1.5
"""Standard deviation of an amount's logarithm: the 99.9 % quantile is 103 times the median."""

BINARY: Final = np.array([0.0, 1.0])
"""Probabilities of the counted values 0 and 1 of a binary outcome that has happened."""

_TRUTHS: Final = 4
"""Booleans of a unit: answered by the candidate, flipped, outcome on flips, outcome at all."""

_SHADOW: Final = 2_000
"""Number of outcomes in the shadow."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Probabilities of flips, and of outcomes on flips and elsewhere."""

    flips: float = 0.02
    on_flips: float = 0.05
    elsewhere: float = 0.0092
    harm: float = 1.0
    """Factor of the outcome's probability on flips that the candidate answers."""

    @property
    def all(self) -> float:
        """Return the primary's rate over all traffic."""
        return self.flips * self.on_flips + (1 - self.flips) * self.elsewhere

    @property
    def ratio(self) -> float:
        """Return the ratio of the candidate's rate to the primary's, over all traffic."""
        return 1 + self.flips * self.on_flips * (self.harm - 1) / self.all

    @classmethod
    def of_ratio(cls, ratio: float) -> "Rates":
        """Return the rates of a candidate with that ratio over all traffic."""
        plain = cls()
        return cls(harm=1 + (ratio - 1) * plain.all / (plain.flips * plain.on_flips))


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a simulation: `units` that send bursts, at one rollout after the other."""

    rates: Rates
    rollouts: tuple[float, ...]
    """In percent, one for each look."""
    units: int
    """Number of units: new ones at each look if each is a request, else the same ones."""
    burst: int = 1
    """Average requests of a unit at each look."""
    sticky: bool = False
    """Whether the flag is sticky on units, which come back at each look; else on requests."""
    money: bool = False
    """Whether an outcome is an amount; only for requests."""
    dearer: float = 1.0
    """Factor of the amount on flips that the candidate answers; not for bursts."""


class Requests:
    """Counts of independent requests by arm and rollout, and of their outcomes.

    `values` are the probabilities of an outcome's level, from 0 to the cap; `worse` replaces them
    on flips that the candidate answers.
    """

    def __init__(self, rates: Rates, values: Floats, worse: Floats | None = None) -> None:
        self._rates = rates
        self._values = {False: values, True: values if worse is None else worse}
        self.amounts = np.arange(len(values)) / (len(values) - 1)
        self.requests = {False: 0, True: 0}
        self.levels: dict[tuple[bool, float, bool], Counts] = {}

    def add(self, random: np.random.Generator, number: int, rollout: float) -> None:
        """Draw further requests at a rollout in percent."""
        rates, share = self._rates, rollout / 100
        candidate = int(random.binomial(number, share))
        for arm, size in ((False, number - candidate), (True, candidate)):
            self.requests[arm] += size
            flips = int(random.binomial(size, rates.flips))
            on_flips = min(1.0, rates.on_flips * (rates.harm if arm else 1.0))
            for flip, units, rate in (
                (True, flips, on_flips),
                (False, size - flips, rates.elsewhere),
            ):
                events = int(random.binomial(units, rate))
                counts = random.multinomial(events, self._values[arm and flip])
                key = arm, share, flip
                self.levels[key] = self.levels[key] + counts if key in self.levels else counts

    def cells(self) -> tuple[OutcomeCell, ...]:
        """Return the cells of the gate, without requests that have no outcome."""
        amounts = self.amounts.tolist()
        return tuple(
            OutcomeCell(arm, share, flip, amounts[place] * flip, amounts[place], n)
            for (arm, share, flip), counts in self.levels.items()
            for place, n in enumerate(counts.tolist())
            if n and place
        )

    def moments(self, arm: bool) -> tuple[float, float]:
        """Return mean and variance of the outcome per request of an arm."""
        counts = sum(each for (mine, _, _), each in self.levels.items() if mine is arm)
        mean = float(counts @ self.amounts) / self.requests[arm]
        return mean, float(counts @ self.amounts**2) / self.requests[arm] - mean**2


def looks(plan: Plan, random: np.random.Generator) -> Iterator[tuple[OutcomeCell, ...]]:
    """Yield the gate's cells at each look."""
    if plan.sticky:
        yield from _of_units(plan, random)
    elif plan.burst > 1:
        yield from _of_bursts(plan, random)
    else:
        values, worse = BINARY, None
        if plan.money:  # the cap is fixed before the canary
            most = shadow_quantile(random)
            values, worse = level_shares(most), level_shares(most, plan.dearer)
        drawn = Requests(plan.rates, values, worse)
        for rollout in plan.rollouts:
            drawn.add(random, plan.units, rollout)
            yield drawn.cells()


def _of_bursts(plan: Plan, random: np.random.Generator) -> Iterator[tuple[OutcomeCell, ...]]:
    """Draw bursts of requests with a common trait; the flag assigns each request separately."""
    rates = plan.rates
    values = level_shares(shadow_quantile(random)) if plan.money else BINARY
    size = len(values) - 1
    found: dict[tuple[bool, float, bool], Counts] = {}
    for rollout in plan.rollouts:
        share = rollout / 100
        bursts = max(1, plan.units // plan.burst)
        # What one customer's requests have in common: all or none of a burst lies on flips, and
        # some customers complain about everything.
        flips = (random.random(bursts) < rates.flips).repeat(plan.burst)
        trait = random.gamma(1.0, 1.0, bursts).repeat(plan.burst)
        arm = random.random(bursts * plan.burst) < share
        rate = np.where(flips, rates.on_flips * np.where(arm, rates.harm, 1.0), rates.elsewhere)
        happened = random.random(len(arm)) < np.minimum(1.0, rate * trait)
        level = np.zeros(len(arm), dtype=np.int64)
        level[happened] = random.choice(size + 1, int(happened.sum()), p=values)
        for candidate in (False, True):
            for flip in (False, True):
                mine = level[(arm == candidate) & (flips == flip)]
                counts = np.bincount(mine, minlength=size + 1)
                key = candidate, share, flip
                found[key] = found[key] + counts if key in found else counts
        yield tuple(
            OutcomeCell(candidate, at, flip, place / size * flip, place / size, int(n))
            for (candidate, at, flip), counts in found.items()
            for place, n in enumerate(counts)
            if n
        )


def shadow_quantile(random: np.random.Generator) -> float:
    """Return the quantile of the amounts in the shadow: the cap."""
    return float(np.quantile(_amounts(_SHADOW, random), QUANTILE))


def level_shares(most: float, times: float = 1.0) -> Floats:
    """Return the probabilities of the levels, from 0 on, of amounts that are `times` as large."""
    bounds = (np.arange(LEVELS) + 0.5) * (most / LEVELS)
    below = stats.lognorm.cdf(bounds, SPREAD, scale=times)
    return np.asarray(np.diff(below, prepend=0.0, append=1.0), dtype=np.float64)


def _amounts(size: int, random: np.random.Generator) -> Floats:
    return random.lognormal(0.0, SPREAD, size)


def _of_units(plan: Plan, random: np.random.Generator) -> Iterator[tuple[OutcomeCell, ...]]:
    """Draw units with a fixed hash from 0 to 100 that come back at each look; binary outcomes."""
    rates, size = plan.rates, plan.units
    place = random.random(size) * 100
    flips_often = random.random(size) < 0.3
    odds = np.where(flips_often, rates.flips / 0.3, 0.0)
    trait = random.gamma(1.0, 1.0, size)
    low, high = np.zeros(size), np.full(size, 100.0)
    kept: list[OutcomeCell] = []
    for rollout, length in _runs(plan.rollouts):
        seen = np.zeros(size, dtype=bool)
        state = np.zeros((3, size), dtype=bool)  # flipped, on flips, in total
        arm = place < rollout
        for _ in range(length):
            requests = random.poisson(plan.burst, size)
            flips = random.binomial(requests, odds)
            harm = np.where(arm, rates.harm, 1.0)
            on_flips = random.random(size) < _any(rates.on_flips * harm * trait, flips)
            others = random.random(size) < _any(rates.elsewhere * trait, requests - flips)
            seen |= requests > 0
            state[0] |= flips > 0
            state[1] |= on_flips
            state[2] |= on_flips | others
            yield (*kept, *_cells(rollout, low, high, arm, seen, state))
        kept += _cells(rollout, low, high, arm, seen, state)
        low = np.where(seen & ~arm, np.maximum(low, rollout), low)
        high = np.where(seen & arm, np.minimum(high, rollout), high)


def _any(rate: Floats, times: Counts) -> Floats:
    """Return the probability of at least one event in `times` trials."""
    return np.asarray(1 - (1 - np.minimum(1.0, rate)) ** times, dtype=np.float64)


def _runs(rollouts: Sequence[float]) -> Iterator[tuple[float, int]]:
    for rollout in dict.fromkeys(rollouts):
        yield rollout, list(rollouts).count(rollout)


def _cells(
    rollout: float,
    low: Floats,
    high: Floats,
    arm: npt.NDArray[np.bool_],
    seen: npt.NDArray[np.bool_],
    state: npt.NDArray[np.bool_],
) -> list[OutcomeCell]:
    share = (rollout - low) / (high - low)
    drawn = seen & (share > 0) & (share < 1)
    shares, place = np.unique(share[drawn], return_inverse=True)
    # One number a cell: to sort rows of five would take most of the time.
    code = place.astype(np.int64) << _TRUTHS
    for bit, each in enumerate((arm, *state)):
        code |= each[drawn].astype(np.int64) << bit
    return [
        OutcomeCell(
            bool(cell & 1),
            float(shares[cell >> _TRUTHS]),
            bool(cell & 2),
            float(cell >> 2 & 1),
            float(cell >> 3 & 1),
            n,
        )
        for cell, n in enumerate(np.bincount(code).tolist())
        if n
    ]
