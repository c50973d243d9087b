"""Round scores to a number of bits: few distinct values are left, and their counts add up.

A score is rounded to the nearest double with a short significand, by three operations that IEEE 754
rounds correctly everywhere (Veltkamp's splitting; Boldo, "Pitfalls of a full floating-point proof",
IJCAR 2006), so every engine finds the same value. Rounding never changes the order of two scores,
and its error is relative, so it needs no range: an outlier changes nothing for the other scores.
Close below 1 and 100, where many probabilities and percentages lie, the distance to 1 or 100 is
rounded instead: 0.99999871 keeps as many digits as 0.00000129.

Up to `MOST_SCORES` scored pairs nothing is rounded at all.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from sys import float_info
from typing import Final, Self

import numpy as np
import numpy.typing as npt

EXACT: Final = 53
"""Bits of the significand of a double."""

MANY_DIGITS: Final = (14, 16, 20, 24, 32, 40, EXACT)
"""Bits to which the scores of many pairs are rounded: the first that keeps a sample distinct."""

SAMPLE: Final = 4_096
"""Pairs of the sample."""

_DISTINCT_SHARE: Final = 0.95
"""Share of the sample's distinct scores that must stay distinct."""

JOINT_DIGITS: Final = (EXACT, 14, 12, 10, 8, 7, 6, 5, 4, 3, 2)
"""Bits in the joint table; the first that leaves at most `MOST_JOINT` values is used."""

MOST_SCORES: Final = 400_000
"""Up to so many scored pairs, scores are not rounded."""

MOST_JOINT: Final = 1_024
"""Distinct scores in the joint table at most."""

MIRRORS: Final = (1.0, 100.0)
"""From half of each of these up to it, the distance to it is rounded."""

HUGE: Final = 2.0**900
SHRINK: Final = 2.0**-100
"""Numbers from `HUGE` on are multiplied by `SHRINK` first: splitting would overflow."""

_BATCH: Final = 2**15
"""Scores that are rounded at once: arrays of this size fit into a processor's cache."""

Floats = npt.NDArray[np.float64]


def splitter(digits: int) -> float:
    """Return Veltkamp's factor, which splits a double so that `digits` bits are left."""
    return 2.0 ** (EXACT - digits) + 1


def below(threshold: float) -> float:
    """Return the largest double below a threshold."""
    return math.nextafter(threshold, -math.inf)


@dataclass(frozen=True, slots=True)
class ScoreGrid:
    """The rounding of an output's scores; counts on equal grids add up.

    In tables of one side, scores are rounded to `digits` bits, in the joint table (of both sides)
    to `joint_digits`. A rounded score stays on the same side of each of the `thresholds`.
    `comparison.counts.bins` does the same in an engine.
    """

    digits: int = EXACT
    joint_digits: int = EXACT
    thresholds: tuple[float, ...] = ()

    @classmethod
    def over(cls, primary: npt.ArrayLike, candidate: npt.ArrayLike) -> Self:
        """Return the grid for the finite scores of pairs, given by side."""
        sides = [np.asarray(each, dtype=np.float64) for each in (primary, candidate)]
        if len(sides[0]) <= MOST_SCORES:
            return cls().with_joint(np.concatenate(sides))
        return cls.of_sample(*(side[:SAMPLE] for side in sides)).with_joint(np.concatenate(sides))

    @classmethod
    def of_sample(cls, primary: npt.ArrayLike, candidate: npt.ArrayLike) -> Self:
        """Return the grid for many pairs, given the scores of a sample.

        Its `joint_digits` are not determined yet.
        """
        sides = [np.unique(np.asarray(each, dtype=np.float64)) for each in (primary, candidate)]
        return cls(
            next(
                digits
                for digits in MANY_DIGITS
                if all(
                    len(np.unique(rounded(side, digits))) >= _DISTINCT_SHARE * len(side)
                    for side in sides
                )
            )
        )

    def with_joint(self, scores: Floats) -> Self:
        """Return the grid with at most `MOST_JOINT` different `scores` in its joint table."""
        held = np.unique(self.scores(scores))
        tried = [digits for digits in JOINT_DIGITS if digits <= self.digits]  # the finest first
        fitting = (each for each in tried if _distinct(rounded(held, each)) <= MOST_JOINT)
        return replace(self, joint_digits=next(fitting, tried[-1] if tried else EXACT))

    def with_thresholds(self, thresholds: Iterable[float]) -> Self:
        """Return the grid with further thresholds; those that are not finite are ignored."""
        wanted = {*self.thresholds, *(float(each) for each in thresholds if math.isfinite(each))}
        return replace(self, thresholds=tuple(sorted(wanted)))

    def scores(self, values: npt.ArrayLike) -> Floats:
        """Round finite scores for tables of one side."""
        return self.rounded(np.asarray(values, dtype=np.float64), self.digits)

    def joint_scores(self, values: npt.ArrayLike) -> Floats:
        """Round finite scores for the joint table."""
        return self.rounded(np.asarray(values, dtype=np.float64), self.joint_digits)

    def rounded(self, values: Floats, digits: int) -> Floats:
        """Round finite scores to `digits` bits; each stays on its side of the thresholds."""
        found = np.empty(len(values))
        for begin in range(0, len(values), _BATCH):
            part = slice(begin, begin + _BATCH)
            found[part] = self._rounded_within_thresholds(values[part], digits)
        return found

    def _rounded_within_thresholds(self, values: Floats, digits: int) -> Floats:
        found = rounded(values, digits)
        if digits >= EXACT or not self.thresholds:
            return found
        above = np.array([-np.inf, *self.thresholds])
        beneath = np.array([*map(below, self.thresholds), np.inf])
        place = np.searchsorted(self.thresholds, values, side="right")
        return np.asarray(np.clip(found, above[place], beneath[place]), dtype=np.float64)


def _distinct(ascending: Floats) -> int:
    """Count the distinct values of an ascending array; rounding keeps the order."""
    return int(np.count_nonzero(np.diff(ascending))) + min(len(ascending), 1)


def rounded(values: Floats, digits: int) -> Floats:
    """Round finite values to `digits` bits, as described above; zero becomes positive."""
    values = np.where(values == 0, 0.0, values)
    if digits >= EXACT:
        return values
    mirror = np.zeros_like(values)
    for each in MIRRORS:
        mirror = np.where((values >= each / 2) & (values <= each), each, mirror)
    distance = np.where(mirror > 0, mirror - values, values)
    scale = np.where(np.abs(distance) < HUGE, 1.0, SHRINK)
    shrunk = distance * scale
    product = shrunk * splitter(digits)
    most = float_info.max * SHRINK
    found = np.clip(product - (product - shrunk), -most, most) / scale  # by a power of two: exact
    return np.asarray(np.where(mirror > 0, mirror - found, found) + 0.0, dtype=np.float64)
