"""A scenario of the gate's simulations, its runs, and its row in the table."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[Any]

_CHUNK: Final = 200
"""Runs that are simulated together in one process."""

_SEED: Final = 20_240_702

_RESAMPLES: Final = 500


class Kind(StrEnum):
    """The figure that a scenario measures."""

    FALSE_ROLLBACK = "false rollback"
    """Share of runs in which an acceptable candidate was rolled back at any look."""
    FALSE_ADVANCE = "false advance"
    """Share of runs in which an unacceptable candidate advanced at any look."""
    FALSE_HOLD = "false hold"
    """Share of looks at which a good candidate is held because of recent data."""
    DELAY = "delay"
    """Hours until the right verdict, the median of the runs."""
    PRICE = "price"
    """Pairs until the right verdict, relative to the earlier gate, which counted every request."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One situation, and the highest error rate that the gate may have in it.

    `simulate(random, runs)` returns one row per run: whether it erred, or hours until the verdict
    (infinite: never), or for a price (pairs with this gate, pairs with the gate that it is compared
    with). It must be a function of a module, since other processes call it.
    """

    name: str
    row: str
    """Number in the list of requirements, e.g. `B4`."""
    kind: Kind
    nominal: float | None
    """The promised maximum; None if there is no promise."""
    simulate: Callable[[np.random.Generator, int], "Array | Sequence[Any]"]
    runs: int


@dataclass(frozen=True, slots=True)
class Row:
    """The result: a rate, or a median, with its 95 % interval (the latter by bootstrap)."""

    scenario: Scenario
    found: float
    low: float
    high: float
    runs: int

    @property
    def holds(self) -> bool:
        """Say whether the promise holds: the interval is not entirely above it."""
        return self.scenario.nominal is None or self.low <= self.scenario.nominal


def one_by_one(
    one: Callable[[np.random.Generator], Any], random: np.random.Generator, runs: int
) -> Array:
    """Simulate runs one after the other, for scenarios that are not vectorised."""
    return np.array([one(random) for _ in range(runs)], dtype=float)


def simulated(scenario: Scenario, runs: int, pool: Executor) -> Row:
    """Simulate `runs` in a pool; the result does not depend on the number of processes."""
    parts = [min(_CHUNK, runs - begun) for begun in range(0, runs, _CHUNK)]
    seeds = np.random.SeedSequence([_SEED, *scenario.name.encode()]).spawn(len(parts))
    futures = [
        pool.submit(_part, scenario, seed, part) for seed, part in zip(seeds, parts, strict=True)
    ]
    return row_of(scenario, np.concatenate([future.result() for future in futures]))


def _part(scenario: Scenario, seed: np.random.SeedSequence, runs: int) -> Array:
    return np.asarray(scenario.simulate(np.random.default_rng(seed), runs), dtype=float)


def row_of(scenario: Scenario, results: Array) -> Row:
    """Return the row of the table for the results of the runs."""
    if scenario.kind in (Kind.FALSE_ROLLBACK, Kind.FALSE_ADVANCE, Kind.FALSE_HOLD):
        low, high = clopper_pearson(int(results.sum()), len(results))
        return Row(scenario, float(results.mean()), low, high, len(results))
    random = np.random.default_rng(_SEED)
    drawn = random.integers(len(results), size=(_RESAMPLES, len(results)))
    found = sorted(_median(results[chosen]) for chosen in drawn)
    low, high = found[int(0.025 * _RESAMPLES)], found[int(0.975 * _RESAMPLES)]
    return Row(scenario, _median(results), low, high, len(results))


def clopper_pearson(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a binomial share (Clopper & Pearson, Biometrika 26 (1934))."""
    interval = stats.binomtest(count, total).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def _median(results: Array) -> float:
    """Return the median, or the ratio of both medians of a price."""
    middle = np.quantile(results, 0.5, axis=0, method="higher")  # may be infinite: never
    if middle.ndim == 0:
        return float(middle)
    new, old = (float(figure) for figure in middle)
    return new / old if math.isfinite(old) else math.nan
