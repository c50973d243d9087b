"""Counts of the pairs of one output by the score of one side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from comparison.evidence.divergence import Booleans, Counts, Floats
from comparison.pairs.sides import SIDES


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """A row for each distinct score, ascending; arrays have shape (m,).

    `low` and `high` are the smallest and the largest score in a row: equal unless scores were
    rounded. `fired` counts the pairs in which the primary had an alarm, `quiet` those without.
    """

    score: Floats
    low: Floats
    high: Floats
    n: Counts
    positive: Counts
    negative: Counts
    fired: Counts
    quiet: Counts

    @classmethod
    def of(cls, scores: pd.DataFrame) -> dict[str, Self]:
        """Convert the table `scores` of an output; the keys are the sides."""
        return {side: cls._of_rows(scores.loc[scores["side"] == side]) for side in SIDES}

    @classmethod
    def _of_rows(cls, rows: pd.DataFrame) -> Self:
        scores = rows["score"].to_numpy(dtype=np.float64)
        score, place = np.unique(scores, return_inverse=True)
        n = rows["n"].to_numpy(dtype=np.int64)
        label, alarm = (_ternary(rows[name]) for name in ("label", "primary_alarm"))
        low, high = np.full(len(score), np.inf), np.full(len(score), -np.inf)
        np.minimum.at(low, place, rows["low"].to_numpy(dtype=np.float64))
        np.maximum.at(high, place, rows["high"].to_numpy(dtype=np.float64))

        def count(rows_counted: Booleans) -> Counts:
            return np.bincount(place, np.where(rows_counted, n, 0), len(score)).astype(np.int64)

        return cls(
            score,
            low,
            high,
            n=count(n > 0),
            positive=count(label == 1),
            negative=count(label == 0),
            fired=count(alarm == 1),
            quiet=count(alarm == 0),
        )

    @property
    def total(self) -> int:
        """Count the pairs."""
        return int(self.n.sum())

    @property
    def labelled(self) -> Counts:
        """Count the labelled pairs of each score."""
        return self.positive + self.negative

    @property
    def thresholds(self) -> Floats:
        """Return a threshold below each score and one above all, ascending, shape (m + 1,).

        Each lies midway between two scores; the first is the lowest score, the last is the next
        double above the highest score.
        """
        if not len(self.score):
            return np.array([])
        below, above = self.high[:-1], self.low[1:]
        middle = below / 2 + above / 2
        between = np.where((middle > below) & (middle <= above), middle, above)
        return np.concatenate([self.low[:1], between, np.nextafter(self.high[-1:], np.inf)])


def _ternary(column: "pd.Series[bool]") -> npt.NDArray[np.int8]:
    """Convert true, false and missing to 1, 0 and -1."""
    found = column.astype("boolean").astype("Int8").to_numpy(dtype=np.int8, na_value=-1)
    return np.asarray(found, dtype=np.int8)


def at_or_above(counts: Counts) -> Counts:
    """Return the counts at or above each of `ScoreCounts.thresholds`, shape (m + 1,)."""
    return np.append(np.cumsum(counts[::-1])[::-1], 0).astype(np.int64)


def on_one_axis(sides: Mapping[str, ScoreCounts]) -> tuple[Floats, Counts, Counts]:
    """Return the distinct scores of both sides, and the counts of each side by these scores."""
    primary, candidate = (sides[side] for side in SIDES)
    scores = np.union1d(primary.score, candidate.score)
    counts = []
    for side in (primary, candidate):
        n = np.zeros(len(scores), dtype=np.int64)
        n[np.searchsorted(scores, side.score)] = side.n
        counts.append(n)
    return scores, counts[0], counts[1]
