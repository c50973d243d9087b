"""A paired bootstrap interval of the difference of average precision."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from comparison.evidence.divergence import Counts, Floats
from comparison.evidence.joint_counts import JointCounts, sum_by_bin
from comparison.pairs.sides import SIDES
from flags.gate.evidence import Interval

REPLICATES: Final = 1_000
SEED: Final = 20_251_124
"""Fixed, so that the same pairs always give the same interval."""
CELLS: Final = 2_000
"""Largest number of cells that is drawn as it is; of more, neighbouring bins are merged."""
CLASSES: Final = 32
"""Number of bins of each side after merging, with about equally many positives each."""

_NORMAL: Final = 1.96
"""Standard errors on each side of a 95 % interval."""

_BATCH: Final = 2_000_000
"""Weights that are drawn at a time: 16 MB."""


def average_precision(positives: Floats, negatives: Floats) -> Floats:
    """Return sum over thresholds of (R_n - R_(n-1)) P_n, as scikit-learn; NaN without positives.

    Counts by score have shape (..., m), scores ascending; the result has shape (...). Equal scores
    are one threshold. Why points are not joined by straight lines: Davis & Goadrich (2006), ICML.
    """
    hits = np.cumsum(positives[..., ::-1], axis=-1)
    alarms = hits + np.cumsum(negatives[..., ::-1], axis=-1)
    precision = np.divide(hits, alarms, out=np.zeros_like(hits), where=alarms > 0)
    gained = (positives[..., ::-1] * precision).sum(axis=-1)
    total = positives.sum(axis=-1)
    found: Floats = np.divide(gained, total, out=np.full(total.shape, np.nan), where=total > 0)
    return found


def average_precision_difference(
    labelled: JointCounts, value: float | None
) -> tuple[Interval, float | None]:
    """Return the candidate's minus the primary's, with its 95 % interval, and its standard error.

    `value` is the difference, computed from scores that are rounded less than those in `labelled`.

    Paired bootstrap: each pair is drawn with both its scores, so a case that is easy or hard for
    both sides adds no variance. Percentiles of `REPLICATES` (Efron & Tibshirani, "An Introduction
    to the Bootstrap" (1993), chapter 13); each cell of the table gets a Poisson weight (Hanley &
    MacGibbon (2006), Computer Methods and Programs in Biomedicine 83:57-62). Where both sides rank
    the few positives equally, all replicates are equal; so interval and error are widened by what
    one more positive, half of it found by each side alone, would add (Agresti & Min, "Simple
    improved confidence intervals for comparing matched proportions", Stat. Med. 24 (2005),
    729-740). All are None without a positive.
    """
    if value is None or not labelled.positive.total:
        return Interval(None, None, None), None
    cells = _rising(labelled)
    if len(cells.n) > CELLS:
        cells = _merged(cells, CLASSES)
    drawn = _draw(cells)
    # Merged bins shift the estimate a little, and every replicate by about as much.
    shift = value - _difference(cells)
    low, high = (np.quantile(drawn, [0.025, 0.975]) + shift).tolist()
    added = 1 / (labelled.positive.total + 2)
    below, above = (math.hypot(value - each, _NORMAL * added) for each in (low, high))
    interval = Interval(value, max(-1.0, value - below), min(1.0, value + above))
    return interval, math.hypot(float(drawn.std(ddof=1)), added)


def _difference(cells: JointCounts) -> float:
    primary, candidate = (
        average_precision(
            cells.positive.counts(side).astype(np.float64),
            cells.negative.counts(side).astype(np.float64),
        )
        for side in SIDES
    )
    return float(candidate - primary)


def _draw(cells: JointCounts) -> Floats:
    """Return the difference in each bootstrap replicate that has a positive."""
    random = np.random.default_rng(SEED)
    sides = [_Side.of(cells, side) for side in SIDES]
    batch = max(1, _BATCH // len(cells.n))
    drawn = []
    for begun in range(0, REPLICATES, batch):
        weights = random.poisson(
            cells.n, size=(min(batch, REPLICATES - begun), len(cells.n))
        ).astype(np.float64)
        primary, candidate = (side.average_precision(weights) for side in sides)
        drawn.append(candidate - primary)
    found = np.concatenate(drawn)
    return found[~np.isnan(found)]


@dataclass(frozen=True, slots=True)
class _Side:
    """The order in which to add up the weights of cells by label and bin of one side."""

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    columns: Counts
    """Column of each sum: bin i of the positives is i, bin i of the negatives is `bins` + i."""
    bins: int

    @classmethod
    def of(cls, cells: JointCounts, side: str) -> "_Side":
        column = np.where(cells.label == 1, 0, cells.bins) + cells.of_side(side)
        order = np.argsort(column, kind="stable")
        columns, starts = np.unique(column[order], return_index=True)
        return cls(order, starts, columns, cells.bins)

    def average_precision(self, weights: Floats) -> Floats:
        """Return the average precision of each row of weights, shape (replicates, cells)."""
        sums = np.zeros((len(weights), 2 * self.bins))
        sums[:, self.columns] = np.add.reduceat(weights[:, self.order], self.starts, axis=1)
        return average_precision(sums[:, : self.bins], sums[:, self.bins :])


def _rising(cells: JointCounts) -> JointCounts:
    """Merge each bin without positives into the next lower bin with positives.

    Average precision takes the precision only at scores of positives, so this changes it in no
    replicate.
    """
    return _with_classes(
        cells, {side: np.cumsum(cells.positive.counts(side) > 0) for side in SIDES}
    )


def _merged(cells: JointCounts, classes: int) -> JointCounts:
    """Merge neighbouring bins into `classes` bins with about equally many positives."""
    found = {}
    for side in SIDES:
        upper = np.cumsum(cells.positive.counts(side))
        found[side] = np.ceil(upper * classes / upper[-1]).astype(np.int64)
    return _with_classes(cells, found)


def _with_classes(cells: JointCounts, classes: dict[str, Counts]) -> JointCounts:
    """Replace the bins of each cell by their classes, and add up cells that become equal."""
    size = 1 + max(int(each.max()) for each in classes.values())
    primary, candidate = (classes[side][cells.of_side(side)] for side in SIDES)
    number = (primary * size + candidate) * 2 + cells.label
    found, cell = np.unique(number, return_inverse=True)
    return JointCounts(
        primary=found // 2 // size,
        candidate=found // 2 % size,
        label=(found % 2).astype(np.int8),
        n=sum_by_bin(cell, cells.n, len(found)),
        centres=np.arange(size, dtype=np.float64),
    )
