"""A fixed grid over scores, so that engines count and the counts add up.

A bin holds the scores whose eighth root, taken as three square roots, has the same first eleven
bits. IEEE 754 rounds a square root correctly everywhere, so every engine puts every double into
the same bin. The root makes the bins narrow where scores crowd: 0.7 % of the score at 0.01, 2 % at
a millionth, never more than 0.4 % of the whole range.
"""

import math
import struct
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

RESOLUTION: Final = 2.0**11
"""Bins between a score of 0 and the end of the scale; a power of two, to multiply exactly."""

FARTHEST: Final = 16.0
"""Where the real scale is cut off: what is expected lies within 1, the largest doubles within 8."""

_MAGNITUDE: Final = 2**63 - 1
_RANK_OF_LARGEST: Final = 0x7FEF_FFFF_FFFF_FFFF
"""Bits of a double without its sign; those of the largest one."""

Floats = npt.NDArray[np.float64]
Bins = npt.NDArray[np.int64]


class ScoreScale(Hashable, Protocol):
    """Number the doubles by a whole number, the key, that never decreases as they increase.

    `comparison.counts.bins` says the same to an engine.
    """

    @property
    def low(self) -> float:
        """Return the smallest score that is expected."""

    @property
    def high(self) -> float:
        """Return the largest score that is expected."""

    def key(self, score: float) -> int:
        """Return the key of a finite score."""

    def near(self, key: int) -> float:
        """Return about the smallest score of a key."""


@dataclass(frozen=True, slots=True)
class ProbabilityScale:
    """Be fine towards 0 and, mirrored, towards 1; 0.5 is an edge. What lies outside is cut off."""

    @property
    def low(self) -> float:
        """Return 0."""
        return 0.0

    @property
    def high(self) -> float:
        """Return 1."""
        return 1.0

    def key(self, score: float) -> int:
        """Return the key of a score, 0 to 2 * `MIDDLE`."""
        inside = min(max(score, 0.0), 1.0)
        if inside < 0.5:
            return math.floor(RESOLUTION * eighth_root(inside))
        return 2 * MIDDLE - math.ceil(RESOLUTION * eighth_root(1.0 - inside))

    def near(self, key: int) -> float:
        """Return about the smallest score of a key."""
        if key < MIDDLE:
            return float((key / RESOLUTION) ** 8)
        return 1.0 - float(((2 * MIDDLE - key) / RESOLUTION) ** 8)


@dataclass(frozen=True, slots=True)
class RealScale:
    """Be fine towards `centre`, on both sides of it; `factor` is a power of two.

    `low` and `high` bound the scores seen. Beyond them there are no edges.
    """

    low: float
    high: float
    centre: float
    factor: float

    @classmethod
    def of(cls, low: float, high: float) -> Self:
        """Put the centre at 0, or at the end that is nearer to it."""
        centre = min(max(low, 0.0), high)
        _, exponent = math.frexp(max(high - centre, centre - low))
        return cls(low, high, centre, math.ldexp(1.0, min(max(-exponent, -1022), 1022)))

    def key(self, score: float) -> int:
        """Return the key of a score: 0 at the centre."""
        scaled = min(max((score - self.centre) * self.factor, -FARTHEST), FARTHEST)
        if scaled >= 0:
            return math.floor(RESOLUTION * eighth_root(scaled))
        return -math.ceil(RESOLUTION * eighth_root(-scaled))

    def near(self, key: int) -> float:
        """Return about the smallest score of a key."""
        scaled = math.copysign((key / RESOLUTION) ** 8, key)
        return self.centre + scaled / self.factor


def eighth_root(value: float) -> float:
    """Return the eighth root, rounded as three square roots are."""
    return math.sqrt(math.sqrt(math.sqrt(value)))


MIDDLE: Final = math.floor(RESOLUTION * eighth_root(0.5)) + 1
"""Key of 0.5 as a probability."""


@dataclass(frozen=True, slots=True)
class ScoreGrid:
    """Divide the scores into bins: bin i is [edges[i-1], edges[i]).

    Bin 0 is what is below the first edge, bin len(edges) what is not below the last. `thresholds`
    are edges as well. Grids of the same scale and thresholds are equal, and their counts add up.
    """

    scale: ScoreScale
    thresholds: tuple[float, ...] = ()
    edges: tuple[float, ...] = field(init=False, repr=False, compare=False)
    keys: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """The key of each edge: that of the scale plus the number of thresholds not above it."""

    def __post_init__(self) -> None:
        edges = sorted({*_edges_of(self.scale), *self.thresholds})
        object.__setattr__(self, "edges", tuple(edges))
        object.__setattr__(self, "keys", tuple(self._key(edge) for edge in edges))

    @classmethod
    def over(cls, low: float, high: float, thresholds: Iterable[float] = ()) -> Self:
        """Lay a grid over scores from `low` to `high`: that of probabilities if they can be some.

        All probabilities have the same grid, so that counts of any windows add up. For other
        scores it follows from their range: keep the grid of the first window to add others to it.
        """
        scale = ProbabilityScale() if low >= 0 and high <= 1 else RealScale.of(low, high)
        return cls(scale).with_thresholds(thresholds)

    def with_thresholds(self, thresholds: Iterable[float]) -> Self:
        """Return the grid that has finite `thresholds` as edges, besides those it has."""
        wanted = {*self.thresholds, *(float(each) for each in thresholds if math.isfinite(each))}
        return type(self)(self.scale, tuple(sorted(wanted)))

    def bins(self, values: npt.ArrayLike) -> Bins:
        """Return the bin of each value; a NaN counts as larger than all."""
        found = np.searchsorted(np.asarray(self.edges), np.asarray(values), side="right")
        return found.astype(np.int64)

    def bins_of_keys(self, keys: npt.ArrayLike) -> Bins:
        """Return the bin of each key that an engine computed."""
        found = np.searchsorted(np.asarray(self.keys), np.asarray(keys), side="right")
        return found.astype(np.int64)

    @property
    def centres(self) -> Floats:
        """Return a score in the middle of each bin, shape (len(edges) + 1,), ascending."""
        if not self.edges:
            return np.array([self.scale.low / 2 + self.scale.high / 2])
        below, above = min(self.scale.low, self.edges[0]), max(self.scale.high, self.edges[-1])
        bounds = np.array([below, *self.edges, above])
        return bounds[:-1] / 2 + bounds[1:] / 2

    def _key(self, score: float) -> int:
        return self.scale.key(score) + bisect_right(self.thresholds, score)


@lru_cache(maxsize=16)  # thousands of bisections, mostly of the scale of probabilities
def _edges_of(scale: ScoreScale) -> Sequence[float]:
    """Return the smallest double of every key that occurs after the first."""
    keys = range(scale.key(scale.low) + 1, scale.key(scale.high) + 1)
    edges = {_smallest(scale, key) for key in keys}
    return tuple(edge for edge in edges if scale.low < edge <= scale.high)


def _smallest(scale: ScoreScale, key: int) -> float:
    """Return the smallest double whose key is at least `key`, by bisection around a guess."""
    above = _rank(scale.near(key))
    step = 1
    while scale.key(_ranked(above)) < key:
        above, step = above + step, 2 * step
    below, step = above - 1, 1
    while scale.key(_ranked(below)) >= key:
        below, step = below - step, 2 * step
    while above - below > 1:
        middle = (above + below) // 2
        if scale.key(_ranked(middle)) >= key:
            above = middle
        else:
            below = middle
    return _ranked(above)


def _rank(score: float) -> int:
    """Return the place of a double among all doubles, 0 for 0."""
    bits: int = struct.unpack("<q", struct.pack("<d", score))[0]
    return bits if bits >= 0 else -(bits & _MAGNITUDE)


def _ranked(rank: int) -> float:
    """Return the finite double at a place."""
    inside = min(abs(rank), _RANK_OF_LARGEST)
    magnitude: float = struct.unpack("<d", struct.pack("<q", inside))[0]
    return math.copysign(magnitude, rank)
