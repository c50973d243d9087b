"""Tables of the alarms of both sides, and the figures that follow from them.

An alarm is a score >= its threshold.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from comparison.evidence.divergence import Booleans
from comparison.evidence.statistics import Proportion, Ratio, mcnemar_mid_p, paired_ratio
from comparison.pairs.sides import SIDES
from flags.gate.evidence import Paired


def alarm_table(primary: Booleans, candidate: Booleans) -> Paired:
    """Count n pairs by the alarms of both sides; each array has shape (n,)."""
    return Paired(
        both=int((primary & candidate).sum()),
        primary_only=int((primary & ~candidate).sum()),
        candidate_only=int((~primary & candidate).sum()),
        neither=int((~primary & ~candidate).sum()),
    )


@dataclass(frozen=True, slots=True)
class Alarms:
    """The alarms of both sides in a set of pairs: the 2x2 table and the figures from it."""

    flips: Paired
    agreement: Proportion
    primary: Proportion
    candidate: Proportion
    ratio: Ratio
    mid_p: float

    @classmethod
    def of(cls, flips: Paired) -> Self:
        """Derive rates, ratio and McNemar's mid-p from the table."""
        return cls(
            flips=flips,
            agreement=Proportion.of(flips.both + flips.neither, flips.pairs),
            primary=Proportion.of(flips.primary.count, flips.pairs),
            candidate=Proportion.of(flips.candidate.count, flips.pairs),
            ratio=paired_ratio(flips.both, flips.candidate_only, flips.primary_only),
            mid_p=mcnemar_mid_p(flips.primary_only, flips.candidate_only),
        )


@dataclass(frozen=True, slots=True)
class SegmentTable:
    """The alarms of the pairs with one value of a segment; `value` None: the pairs have none."""

    segment: str
    value: str | None
    alarms: Alarms


def by_segment(
    pairs: pd.DataFrame, primary: Booleans, candidate: Booleans
) -> tuple[SegmentTable, ...]:
    """Count the alarms by value of each `segment.*` column, values with most pairs first.

    `primary` and `candidate` say which of the frame's n rows are alarms, shape (n,).
    """
    figures = []
    for column in pairs.columns[pairs.columns.str.startswith("segment.")]:
        names = [None, *pairs[column].cat.categories]
        rows = pairs[column].cat.codes.to_numpy(dtype=np.int64) + 1
        counts = np.bincount(rows * 4 + primary * 2 + candidate, minlength=4 * len(names))
        tables = [
            (name, Paired(both, primary_only, candidate_only, neither))
            for name, (neither, candidate_only, primary_only, both) in zip(
                names, counts.reshape(-1, 4).tolist(), strict=True
            )
        ]
        tables.sort(key=lambda table: -table[1].pairs)
        figures += [
            SegmentTable(column.removeprefix("segment."), name, Alarms.of(flips))
            for name, flips in tables
            if flips.pairs
        ]
    return tuple(figures)


def sum_alarms(table: pd.DataFrame) -> Paired:
    """Add up a table of counts with the columns primary_alarm, candidate_alarm and n."""
    primary, candidate = (table[f"{side}_alarm"].to_numpy(dtype=bool) for side in SIDES)
    n = table["n"].to_numpy(dtype=np.int64)
    cells = np.bincount(2 * primary + candidate, weights=n, minlength=4).astype(np.int64)
    neither, candidate_only, primary_only, both = cells.tolist()
    return Paired(both, primary_only, candidate_only, neither)


def alarms_by(table: pd.DataFrame, key: str) -> "list[tuple[Any, Paired]]":
    """Return the alarms by value of the column `key`, in ascending order, missing values last."""
    rows = table[key].factorize(sort=True, use_na_sentinel=False)
    codes, values = np.asarray(rows[0], dtype=np.int64), list(rows[1])
    primary, candidate = (table[f"{side}_alarm"].to_numpy(dtype=bool) for side in SIDES)
    cells = np.bincount(
        codes * 4 + primary * 2 + candidate,
        weights=table["n"].to_numpy(dtype=np.int64),
        minlength=4 * len(values),
    )
    return [
        (value, Paired(both, primary_only, candidate_only, neither))
        for value, (neither, candidate_only, primary_only, both) in zip(
            values, cells.astype(np.int64).reshape(-1, 4).tolist(), strict=True
        )
    ]
