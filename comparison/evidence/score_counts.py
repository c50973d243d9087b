"""Hold the pairs of one output as counts by the score of one side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from comparison.evidence.divergence import Counts, Floats
from comparison.pairs.sides import SIDES

_YES: Final = 1


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """Hold one row per distinct score, ascending; arrays have shape (m,).

    `low` and `high` are the least and the largest score that a row counts: equal unless scores
    were rounded. `fired` and `quiet` count the pairs in which the primary had an alarm, or none.
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
        """Take both sides from the table `scores` of an output."""
        return {side: cls._of_rows(scores.loc[scores["side"] == side]) for side in SIDES}

    @classmethod
    def _of_rows(cls, rows: pd.DataFrame) -> Self:
        held = rows["score"].to_numpy(dtype=np.float64)
        score, place = np.unique(held, return_inverse=True)
        n = rows["n"].to_numpy(dtype=np.int64)
        label, alarm = (_ternary(rows[name]) for name in ("label", "primary_alarm"))
        low, high = np.full(len(score), np.inf), np.full(len(score), -np.inf)
        np.minimum.at(low, place, rows["low"].to_numpy(dtype=np.float64))
        np.maximum.at(high, place, rows["high"].to_numpy(dtype=np.float64))

        def counted(chosen: npt.NDArray[np.bool_]) -> Counts:
            return np.bincount(place, np.where(chosen, n, 0), len(score)).astype(np.int64)

        return cls(
            score,
            low,
            high,
            n=counted(n > 0),
            positive=counted(label == _YES),
            negative=counted(label == 0),
            fired=counted(alarm == _YES),
            quiet=counted(alarm == 0),
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
        """Return a threshold for each number k of scores below it, k from 0 to m, shape (m + 1,).

        Each lies midway between the scores around it, the outer ones just outside of all.
        """
        if not len(self.score):
            return np.array([])
        below, above = self.high[:-1], self.low[1:]
        middle = below / 2 + above / 2
        between = np.where((middle > below) & (middle <= above), middle, above)
        return np.concatenate([self.low[:1], between, np.nextafter(self.high[-1:], np.inf)])


def _ternary(column: "pd.Series[bool]") -> npt.NDArray[np.int8]:
    found = column.astype("boolean").astype("Int8").to_numpy(dtype=np.int8, na_value=-1)
    return np.asarray(found, dtype=np.int8)


def at_or_above(counts: Counts) -> Counts:
    """Return how many lie at or above each threshold of `ScoreCounts.thresholds`: (m + 1,)."""
    return np.append(np.cumsum(counts[::-1])[::-1], 0).astype(np.int64)


def on_one_axis(sides: Mapping[str, ScoreCounts]) -> tuple[Floats, Counts, Counts]:
    """Return the distinct scores of both sides, and the pairs of each side by them."""
    primary, candidate = (sides[side] for side in SIDES)
    scores = np.union1d(primary.score, candidate.score)
    counts = []
    for side in (primary, candidate):
        held = np.zeros(len(scores), dtype=np.int64)
        held[np.searchsorted(scores, side.score)] = side.n
        counts.append(held)
    return scores, counts[0], counts[1]
