"""The distribution of both sides' scores: quantiles, divergences, a histogram."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from comparison.counts.outputs.score_grid import ScoreGrid
from comparison.evidence.divergence import Counts, Floats, binned_quantiles, ks, psi, wasserstein
from comparison.evidence.joint_counts import JointCounts
from comparison.evidence.score_counts import ScoreCounts, on_one_axis
from comparison.pairs.sides import SIDES
from flags.gate.evidence import Distribution

QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
BINS: Final = 50
"""Largest number of bins of the histogram."""
OUTLYING: Final = 0.001
"""Share of the scores at each end that may be outliers."""
FAR: Final = 20
"""Outliers go to the outer bins if all scores span this many times the range without them."""
THRESHOLDS: Final = 2
"""Thresholds are edges of bins if there are at most this many."""


def distribution(
    joint: JointCounts, sides: Mapping[str, ScoreCounts], grid: ScoreGrid
) -> Distribution | None:
    """Return the distribution of the scores, None without scores."""
    if not joint.total:
        return None
    scores, primary, candidate = on_one_axis(sides)
    quantiles = {
        side: binned_quantiles(counts, scores, QUANTILES)
        for side, counts in zip(SIDES, (primary, candidate), strict=True)
    }
    axis = _Axis.of(joint, sides, grid)
    inner, edges = axis.cuts(grid.thresholds)
    place = np.searchsorted(inner, np.arange(joint.bins), side="right")
    size = len(inner) + 1
    cell = place[joint.primary] * size + place[joint.candidate]
    drawn = np.bincount(cell, weights=joint.n, minlength=size * size).astype(np.int64)
    table = drawn.reshape(size, size)
    return Distribution(
        quantiles={
            side: {f"{probability:g}": score for probability, score in found.items()}
            for side, found in quantiles.items()
        },
        psi=psi(primary, candidate),
        ks=ks(primary, candidate),
        wasserstein=wasserstein(primary, candidate, scores),
        bins=tuple(edges),
        counts={
            "primary": tuple(table.sum(axis=1).tolist()),
            "candidate": tuple(table.sum(axis=0).tolist()),
        },
        joint=tuple(
            (int(row), int(column), int(table[row, column]))
            for row, column in np.argwhere(table > 0)
        ),
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    """The axis of the histogram: `n[i]` scores, of both sides, from `low[i]` to `high[i]`."""

    low: Floats
    high: Floats
    n: Counts

    @classmethod
    def of(cls, joint: JointCounts, sides: Mapping[str, ScoreCounts], grid: ScoreGrid) -> "_Axis":
        low, high = np.full(joint.bins, np.inf), np.full(joint.bins, -np.inf)
        for counts in sides.values():
            place = np.searchsorted(joint.centres, grid.joint_scores(counts.score))
            np.minimum.at(low, place, counts.low)
            np.maximum.at(high, place, counts.high)
        return cls(low, high, joint.counts("primary") + joint.counts("candidate"))

    def cuts(self, thresholds: Sequence[float]) -> tuple[Counts, list[float]]:
        """Return the first row of each bin but the first, and the edges of all bins.

        Edges are equally spaced, except next to a threshold and where an edge would divide a row.
        Outliers are put into the outer bins.
        """
        least, most = self._range()
        inside = [each for each in thresholds if least < each < most]
        if len(inside) > THRESHOLDS:
            inside = []
        parts = BINS - len(inside)
        # Halved, since the difference of the ends may overflow a double.
        marks = 2 * np.linspace(least / 2, most / 2, parts + 1)[1:-1]
        width = most / parts - least / parts
        for threshold in inside:  # replaces its nearest mark
            marks = marks[np.abs(marks / 2 - threshold / 2) >= width / 4]
        edges: dict[int, float] = {}
        for mark in sorted([*marks.tolist(), *inside]):
            row = int(np.searchsorted(self.high, mark))
            if row < len(self.low) and mark > self.low[row]:  # within a row: move to its nearer end
                row += mark - self.low[row] > self.high[row] - mark
                mark = self.low[row] if row < len(self.low) else mark
            if 0 < row < len(self.low) and (row not in edges or mark in inside):
                edges[row] = float(mark)
        inner = sorted(edges)
        found = [edges[row] for row in inner]
        first, last = min([least, *found]), max([most, *found])
        return np.array(inner, dtype=np.int64), [float(first), *found, float(last)]

    def _range(self) -> tuple[float, float]:
        """Return the range of the histogram: that of all scores, or without outliers."""
        least, most = float(self.low[0]), float(self.high[-1])
        upper = np.cumsum(self.n)
        rows = np.searchsorted(upper, np.array([OUTLYING, 1 - OUTLYING]) * upper[-1])
        near, far = float(self.low[rows[0]]), float(self.high[rows[1]])
        margin = (far - near) / 10
        if near < far and most / 2 - least / 2 > FAR * (far / 2 - near / 2):
            return max(least, near - margin), min(most, far + margin)
        return least, most
