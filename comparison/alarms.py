"""Set the alarms of both sides against each other; an alarm is a score >= its threshold."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from comparison.statistics import Proportion, Ratio, mcnemar_mid_p, paired_ratio

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Flips:
    """Hold the paired 2x2 table of alarms."""

    both: int
    primary_only: int
    candidate_only: int
    neither: int

    @classmethod
    def of(cls, primary: Truths, candidate: Truths) -> Self:
        """Count labels of shape (n,) each."""
        return cls(
            both=int((primary & candidate).sum()),
            primary_only=int((primary & ~candidate).sum()),
            candidate_only=int((~primary & candidate).sum()),
            neither=int((~primary & ~candidate).sum()),
        )

    @property
    def pairs(self) -> int:
        """Count the pairs in the table."""
        return self.both + self.primary_only + self.candidate_only + self.neither


@dataclass(frozen=True, slots=True)
class Alarms:
    """Hold the flips of a set of pairs and the figures that follow from them."""

    flips: Flips
    agreement: Proportion
    primary: Proportion
    candidate: Proportion
    ratio: Ratio
    mid_p: float

    @classmethod
    def of(cls, flips: Flips) -> Self:
        """Derive rates, ratio and McNemar's mid-p from the table."""
        return cls(
            flips=flips,
            agreement=Proportion.of(flips.both + flips.neither, flips.pairs),
            primary=Proportion.of(flips.both + flips.primary_only, flips.pairs),
            candidate=Proportion.of(flips.both + flips.candidate_only, flips.pairs),
            ratio=paired_ratio(flips.both, flips.candidate_only, flips.primary_only),
            mid_p=mcnemar_mid_p(flips.primary_only, flips.candidate_only),
        )


@dataclass(frozen=True, slots=True)
class SegmentAlarms:
    """Hold the alarms of one segment; `value` is None where the pair does not name it."""

    segment: str
    value: str | None
    alarms: Alarms


def by_segment(
    labelled: pd.DataFrame, primary: Truths, candidate: Truths
) -> tuple[SegmentAlarms, ...]:
    """Count the alarms by value of each `segment.*` column, values with most pairs first.

    `primary` and `candidate` are the labels of the frame's n rows, shape (n,).
    """
    figures = []
    for column in labelled.columns[labelled.columns.str.startswith("segment.")]:
        names = [None, *labelled[column].cat.categories]
        rows = labelled[column].cat.codes.to_numpy(dtype=np.int64) + 1
        counts = np.bincount(rows * 4 + primary * 2 + candidate, minlength=4 * len(names))
        tables = [
            (name, Flips(both, primary_only, candidate_only, neither))
            for name, (neither, candidate_only, primary_only, both) in zip(
                names, counts.reshape(-1, 4).tolist(), strict=True
            )
        ]
        tables.sort(key=lambda table: -table[1].pairs)
        figures += [
            SegmentAlarms(column.removeprefix("segment."), name, Alarms.of(flips))
            for name, flips in tables
            if flips.pairs
        ]
    return tuple(figures)
