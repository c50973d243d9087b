"""Units with outcomes, drawn while the rollout moves, as the cells that the gate sees."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flags.gate.evidence import OutcomeCell

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rates:
    """Say how often sides differ, and how often something happens then and else."""

    flips: float = 0.02
    on_flips: float = 0.05
    elsewhere: float = 0.0092
    harm: float = 1.0
    """Times as often on flips where the candidate answers."""

    @property
    def all(self) -> float:
        """Return the primary's rate over all traffic."""
        return self.flips * self.on_flips + (1 - self.flips) * self.elsewhere

    @property
    def ratio(self) -> float:
        """Return the candidate's rate over all traffic by the primary's."""
        return 1 + self.flips * self.on_flips * (self.harm - 1) / self.all

    @classmethod
    def of_ratio(cls, ratio: float) -> "Rates":
        """Return the rates of a candidate with that ratio over all traffic."""
        plain = cls()
        return cls(harm=1 + (ratio - 1) * plain.all / (plain.flips * plain.on_flips))


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what is drawn: `units` that send bursts, at one rollout after the other."""

    rates: Rates
    rollouts: tuple[float, ...]
    """In per cent, one for each look."""
    units: int
    """For the first time at each look where each is a request, else all of them."""
    burst: int = 1
    """Requests of a unit at each look, on average."""
    sticky: bool = False
    """Whether the flag draws units, which come back at each look; else each request."""


def looks(plan: Plan, random: np.random.Generator) -> Iterator[tuple[OutcomeCell, ...]]:
    """Yield what the gate knows at each look."""
    yield from (_of_units if plan.sticky else _of_requests)(plan, random)


def _of_requests(plan: Plan, random: np.random.Generator) -> Iterator[tuple[OutcomeCell, ...]]:
    """Draw requests that a flag draws each for itself; a burst has one trait, and many draws."""
    rates = plan.rates
    found: dict[tuple[bool, float, bool], list[int]] = {}
    for rollout in plan.rollouts:
        share = rollout / 100
        bursts = max(1, plan.units // plan.burst)
        # What one customer's requests have in common: all or none of a burst lies on flips, and
        # some customers complain of everything.
        flips = (random.random(bursts) < rates.flips).repeat(plan.burst)
        trait = random.gamma(1.0, 1.0, bursts).repeat(plan.burst) if plan.burst > 1 else 1.0
        arm = random.random(bursts * plan.burst) < share
        rate = np.where(flips, rates.on_flips * np.where(arm, rates.harm, 1.0), rates.elsewhere)
        happened = random.random(len(arm)) < np.minimum(1.0, rate * trait)
        for candidate in (False, True):
            for flip in (False, True):
                here = (arm == candidate) & (flips == flip)
                cell = found.setdefault((candidate, share, flip), [0, 0])
                cell[0] += int(here.sum())
                cell[1] += int((here & happened).sum())
        yield tuple(
            OutcomeCell(candidate, at, flip, value * flip, value, n)
            for (candidate, at, flip), (total, events) in found.items()
            for value, n in ((1.0, events), (0.0, total - events))
            if n
        )


def _of_units(plan: Plan, random: np.random.Generator) -> Iterator[tuple[OutcomeCell, ...]]:
    """Draw units with a place between 0 and 100 that come back at each look, binary outcomes."""
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
    """Return the probability that something happens at least once in so many times."""
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
    rows = np.column_stack([arm, share, *state])[drawn]
    values, counts = np.unique(rows, axis=0, return_counts=True)
    return [
        OutcomeCell(bool(a), float(s), bool(flipped), float(on_flips), float(total), int(n))
        for (a, s, flipped, on_flips, total), n in zip(values, counts, strict=True)
    ]
