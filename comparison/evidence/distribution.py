"""The distribution of both sides' scores: quantiles, divergences, a histogram."""

from typing import Final

import numpy as np
import numpy.typing as npt

from comparison.counts.score_grid import ScoreGrid
from comparison.evidence.divergence import Counts, binned_quantiles, ks, psi, wasserstein
from comparison.evidence.joint_counts import JointCounts
from comparison.pairs.columns import SIDES
from flags.gate.evidence import Distribution

QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
BINS: Final = 50
"""At most so many are drawn."""
THRESHOLDS: Final = 2
"""Up to so many thresholds are edges of what is drawn."""


def distribution(joint: JointCounts, grid: ScoreGrid) -> Distribution | None:
    """Describe the scores, None without any; each score is taken for the centre of its bin."""
    if not joint.total:
        return None
    primary, candidate = (joint.counts(side) for side in SIDES)
    quantiles = {
        side: binned_quantiles(joint.counts(side), joint.centres, QUANTILES) for side in SIDES
    }
    cuts = _cuts(primary + candidate, grid)
    place = np.searchsorted(cuts[1:-1], np.arange(joint.bins), side="right")
    size = len(cuts) - 1
    cell = place[joint.primary] * size + place[joint.candidate]
    drawn = np.bincount(cell, weights=joint.n, minlength=size * size).astype(np.int64)
    table = drawn.reshape(size, size)
    bounds = _bounds(grid)
    return Distribution(
        quantiles={
            side: {f"{probability:g}": score for probability, score in found.items()}
            for side, found in quantiles.items()
        },
        psi=psi(primary, candidate),
        ks=ks(primary, candidate),
        wasserstein=wasserstein(primary, candidate, joint.centres),
        bins=tuple(bounds[cuts].tolist()),
        counts={
            "primary": tuple(table.sum(axis=1).tolist()),
            "candidate": tuple(table.sum(axis=0).tolist()),
        },
        joint=tuple(
            (int(row), int(column), int(table[row, column]))
            for row, column in np.argwhere(table > 0)
        ),
    )


def _bounds(grid: ScoreGrid) -> npt.NDArray[np.float64]:
    """Return the ends of all bins, shape (bins + 1,); the outer ones are those of the scale."""
    if not grid.edges:
        return np.array([grid.scale.low, grid.scale.high])
    low, high = min(grid.scale.low, grid.edges[0]), max(grid.scale.high, grid.edges[-1])
    return np.array([low, *grid.edges, high])


def _cuts(counts: Counts, grid: ScoreGrid) -> Counts:
    """Return the places in `_bounds` of the edges to draw: bins of the grid, merged.

    They are as far apart as each other, but for those next to a threshold and as far as the grid
    has it, from the first bin that occurs to the last one.
    """
    bounds, occurring = _bounds(grid), np.flatnonzero(counts)
    first, last = int(occurring[0]), int(occurring[-1]) + 1
    thresholds = np.searchsorted(bounds, np.array(grid.thresholds, dtype=np.float64))
    inside = thresholds[(thresholds > first) & (thresholds < last)]
    if len(inside) > THRESHOLDS:
        inside = inside[:0]
    parts = BINS - len(inside)
    # Halved, since the ends may be too far apart for a double.
    marks = 2 * np.linspace(bounds[first] / 2, bounds[last] / 2, parts + 1)[1:-1]
    width = bounds[last] / parts - bounds[first] / parts
    for threshold in bounds[inside]:  # takes the place of its neighbour
        marks = marks[np.abs(marks / 2 - threshold / 2) >= width / 4]
    after = np.clip(np.searchsorted(bounds, marks), first + 1, last)
    nearer = np.where(marks - bounds[after - 1] < bounds[after] - marks, after - 1, after)
    within = nearer[(nearer > first) & (nearer < last)]
    return np.unique(np.concatenate([[first, last], within, inside])).astype(np.int64)
