"""Counts of the pairs of one output by the scores of both sides and the label."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from comparison.counts.tables import OutputAggregates
from comparison.evidence.divergence import Counts, Floats
from comparison.pairs.sides import SIDES

UNKNOWN: Final = -1
"""Value of `label` without a label; 1 is positive, 0 negative."""


@dataclass(frozen=True, slots=True)
class JointCounts:
    """A cell for each combination of scores and label that occurs; arrays have shape (k,).

    `primary` and `candidate` are indexes into `centres`, the rounded scores that occur on either
    side, ascending. `n` is the number of pairs.
    """

    primary: Counts
    candidate: Counts
    label: npt.NDArray[np.integer[Any]]
    n: Counts
    centres: Floats

    @classmethod
    def of(cls, output: OutputAggregates) -> Self:
        """Convert the joint table of an output."""
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
        """Return the cells with a label."""
        return self.where(self.label != UNKNOWN)

    @property
    def positive(self) -> "JointCounts":
        """Return the cells with a positive label."""
        return self.where(self.label == 1)

    @property
    def negative(self) -> "JointCounts":
        """Return the cells with a negative label."""
        return self.where(self.label == 0)

    def where(self, cells: npt.NDArray[np.bool_]) -> "JointCounts":
        """Return the cells for which `cells`, shape (k,), is true."""
        return JointCounts(
            self.primary[cells],
            self.candidate[cells],
            self.label[cells],
            self.n[cells],
            self.centres,
        )

    def of_side(self, side: str) -> Counts:
        """Return the bin of each cell, by the score of one side."""
        return self.primary if side == "primary" else self.candidate

    def counts(self, side: str) -> Counts:
        """Return the number of pairs in each bin of one side, shape (bins,)."""
        return sum_by_bin(self.of_side(side), self.n, self.bins)


def sum_by_bin(bins: Counts, n: Counts, size: int) -> Counts:
    """Add up `n` by bin; the result has shape (size,) and is exact below 2**53."""
    return np.bincount(bins, weights=n, minlength=size).astype(np.int64)
