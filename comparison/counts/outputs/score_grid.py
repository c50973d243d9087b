"""Scores rounded to so many bits: few distinct values, whose counts add up.

A score is rounded to the nearest double with a short significand, by three operations that IEEE 754
rounds correctly everywhere (Veltkamp's splitting; Boldo, "Pitfalls of a full floating-point proof",
IJCAR 2006), so every engine finds the same value. Rounding never changes the order of two scores,
and its error is relative, so it needs no range: an outlier changes nothing for the other scores.
Close below 1 and 100, where probabilities and percentages crowd, the distance to 1 or 100 is
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
"""Bits to which the scores of many pairs are rounded: the least that keeps a sample apart."""

SAMPLE: Final = 4_096
"""Pairs of the sample."""

_APART: Final = 0.95
"""Share of the sample's distinct scores that must stay distinct."""

JOINT_DIGITS: Final = (EXACT, 14, 12, 10, 8, 7, 6, 5, 4, 3, 2)
"""Bits of the table of both sides; the largest that leaves few enough values is taken."""

MOST_SCORES: Final = 400_000
"""Scored pairs whose scores are counted as they are: with more pairs scores are rounded."""

MOST_JOINT: Final = 1_024
"""Distinct scores of both sides in the table of both."""

MIRRORS: Final = (1.0, 100.0)
"""From half of these up to them, the distance to them is rounded."""

HUGE: Final = 2.0**900
SHRINK: Final = 2.0**-100
"""What is not below `HUGE` is shrunk first: splitting would overflow."""

_PART: Final = 2**15
"""Scores that are rounded at once: what is computed of them stays in the cache of a processor."""

Floats = npt.NDArray[np.float64]


def splitter(digits: int) -> float:
    """Return Veltkamp's factor, by which a double is split so that `digits` bits are left."""
    return 2.0 ** (EXACT - digits) + 1


def below(threshold: float) -> float:
    """Return the largest double below a threshold."""
    return math.nextafter(threshold, -math.inf)


@dataclass(frozen=True, slots=True)
class ScoreGrid:
    """Say how an output's scores are rounded; counts on equal grids add up.

    Scores of one side are rounded to `digits` bits, those of the table of both sides further to
    `joint_digits`. What is rounded stays on its side of each of the `thresholds`: below it, or not.
    `comparison.counts.bins` says the same to an engine.
    """

    digits: int = EXACT
    joint_digits: int = EXACT
    thresholds: tuple[float, ...] = ()

    @classmethod
    def over(cls, primary: npt.ArrayLike, candidate: npt.ArrayLike) -> Self:
        """Return the grid for the finite scores of pairs, one of each side."""
        sides = [np.asarray(each, dtype=np.float64) for each in (primary, candidate)]
        if len(sides[0]) <= MOST_SCORES:
            return cls().with_joint(np.concatenate(sides))
        return cls.of_sample(*(side[:SAMPLE] for side in sides)).with_joint(np.concatenate(sides))

    @classmethod
    def of_sample(cls, primary: npt.ArrayLike, candidate: npt.ArrayLike) -> Self:
        """Return the grid for many pairs, of which these are the scores of some.

        Its table of both sides is not known yet.
        """
        sides = [np.unique(np.asarray(each, dtype=np.float64)) for each in (primary, candidate)]
        return cls(
            next(
                digits
                for digits in MANY_DIGITS
                if all(
                    len(np.unique(rounded(side, digits))) >= _APART * len(side) for side in sides
                )
            )
        )

    def with_joint(self, scores: Floats) -> Self:
        """Return the grid whose table of both sides has few enough of the `scores` of both."""
        held = np.unique(self.scores(scores))
        tried = [digits for digits in JOINT_DIGITS if digits <= self.digits]  # the finest first
        fitting = (each for each in tried if _distinct(rounded(held, each)) <= MOST_JOINT)
        return replace(self, joint_digits=next(fitting, tried[-1] if tried else EXACT))

    def with_thresholds(self, thresholds: Iterable[float]) -> Self:
        """Return the grid that keeps finite `thresholds` apart, besides those it has."""
        wanted = {*self.thresholds, *(float(each) for each in thresholds if math.isfinite(each))}
        return replace(self, thresholds=tuple(sorted(wanted)))

    def scores(self, values: npt.ArrayLike) -> Floats:
        """Return finite scores as they are counted of one side."""
        return self.rounded(np.asarray(values, dtype=np.float64), self.digits)

    def joint_scores(self, values: npt.ArrayLike) -> Floats:
        """Return finite scores as they are counted in the table of both sides."""
        return self.rounded(np.asarray(values, dtype=np.float64), self.joint_digits)

    def rounded(self, values: Floats, digits: int) -> Floats:
        """Return finite scores rounded to so many bits, each on its side of the thresholds."""
        found = np.empty(len(values))
        for begin in range(0, len(values), _PART):
            part = slice(begin, begin + _PART)
            found[part] = self._kept_apart(values[part], digits)
        return found

    def _kept_apart(self, values: Floats, digits: int) -> Floats:
        found = rounded(values, digits)
        if digits >= EXACT or not self.thresholds:
            return found
        above = np.array([-np.inf, *self.thresholds])
        beneath = np.array([*map(below, self.thresholds), np.inf])
        place = np.searchsorted(self.thresholds, values, side="right")
        return np.asarray(np.clip(found, above[place], beneath[place]), dtype=np.float64)


def _distinct(ascending: Floats) -> int:
    """Count the distinct values; rounding has left them in order."""
    return int(np.count_nonzero(np.diff(ascending))) + min(len(ascending), 1)


def rounded(values: Floats, digits: int) -> Floats:
    """Return finite values rounded to `digits` bits, as the module says; zero is positive."""
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
