"""Counts of the pairs of one output by both scores and label."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from comparison.counts.tables import OutputAggregates
from comparison.evidence.divergence import Counts, Floats
from comparison.pairs.sides import SIDES

UNKNOWN: Final = -1
"""Label of what is not labelled; 1 is positive, 0 negative."""


@dataclass(frozen=True, slots=True)
class JointCounts:
    """Hold one cell per combination that occurs; arrays of cells have shape (k,).

    `bins` is the number of distinct scores of both sides, rounded, and `centres` has them in order.
    """

    primary: Counts
    candidate: Counts
    label: npt.NDArray[np.integer[Any]]
    n: Counts
    centres: Floats

    @classmethod
    def of(cls, output: OutputAggregates) -> Self:
        """Take the cells of an output's joint table."""
        joint = output.joint
        label = joint["label"].astype("boolean")
        sides = [joint[f"{side}_score"].to_numpy(dtype=np.float64) for side in SIDES]
        centres, place = np.unique(np.concatenate(sides), return_inverse=True)
        return cls(
            primary=place[: len(joint)].astype(np.int64),
            candidate=place[len(joint) :].astype(np.int64),
            label=label.astype("Int8").to_numpy(dtype=np.int8, na_value=UNKNOWN),
            n=joint["n"].to_numpy(dtype=np.int64),
            centres=centres,
        )

    @property
    def bins(self) -> int:
        """Return the number of bins."""
        return len(self.centres)

    @property
    def total(self) -> int:
        """Count the pairs."""
        return int(self.n.sum())

    @property
    def labelled(self) -> "JointCounts":
        """Return the cells whose label is known."""
        return self.where(self.label != UNKNOWN)

    @property
    def positive(self) -> "JointCounts":
        """Return the cells that turned out positive."""
        return self.where(self.label == 1)

    @property
    def negative(self) -> "JointCounts":
        """Return the cells that turned out negative."""
        return self.where(self.label == 0)

    def where(self, cells: npt.NDArray[np.bool_]) -> "JointCounts":
        """Return the chosen cells; `cells` has shape (k,)."""
        return JointCounts(
            self.primary[cells],
            self.candidate[cells],
            self.label[cells],
            self.n[cells],
            self.centres,
        )

    def of_side(self, side: str) -> Counts:
        """Return the bin of each cell on a side."""
        return self.primary if side == "primary" else self.candidate

    def counts(self, side: str) -> Counts:
        """Return the pairs by bin of a side, shape (bins,)."""
        return counted(self.of_side(side), self.n, self.bins)


def counted(bins: Counts, n: Counts, size: int) -> Counts:
    """Add up counts by bin, shape (size,); exact below 2**53."""
    return np.bincount(bins, weights=n, minlength=size).astype(np.int64)
