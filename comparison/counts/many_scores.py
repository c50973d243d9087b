"""Counts of very many scores of an output, sorted here: nearly each score is one of its own."""

from dataclasses import dataclass
from typing import Any, Final, Self

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
from ibis import _

from comparison.counts.score_grid import Floats, ScoreGrid
from comparison.engines.batches import BATCH_ROWS, columns
from comparison.engines.grouping import JOINT, SCORES
from comparison.pairs.columns import SIDES

_MISSING: Final = 2
"""Code of a truth that is missing, beside 0 and 1."""

Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class ManyScores:
    """Hold scores of both sides; `codes` are 3 x the primary's alarm + the label, 2 if missing."""

    scores: dict[str, Floats]
    codes: Codes

    @classmethod
    def of(cls, scored: ir.Table) -> Self:
        """Take rows with primary_score, candidate_score, primary_alarm and label."""
        alarm, label = (
            each.cast("int8").fill_null(_MISSING) for each in (_.primary_alarm, _.label)
        )
        rows = scored.select(
            *(f"{side}_score" for side in SIDES), code=(alarm * 3 + label).cast("int8")
        )
        primary, candidate, codes = columns(rows)
        return cls(dict(zip(SIDES, (primary, candidate), strict=True)), codes)

    def counts(self, side: str, grid: ScoreGrid) -> pd.DataFrame:
        """Count the scores of a side, as `OutputAggregates.scores` but for its column `side`.

        Rounding keeps the order, so that equal rounded scores lie beside each other when sorted.
        """
        parts = [
            _runs(np.sort(self.scores[side][self.codes == code]), int(code), grid)
            for code in np.unique(self.codes)
        ]
        names = ("score", "low", "high", "n", "code")
        held = {
            name: np.concatenate([np.array([], dtype), *(part[place] for part in parts)])
            for place, (name, dtype) in enumerate(
                zip(names, (np.float64, np.float64, np.float64, np.int64, np.int8), strict=True)
            )
        }
        order = np.lexsort((held["code"], held["score"]))
        held = {name: values[order] for name, values in held.items()}
        alarm, label = np.divmod(held.pop("code"), 3)
        frame = pd.DataFrame({**held, "primary_alarm": _truths(alarm), "label": _truths(label)})
        return frame[[*(name for name in SCORES if name != "side"), "n"]]

    def joint(self, grid: ScoreGrid) -> pd.DataFrame:
        """Count the scores of both sides, as `OutputAggregates.joint`."""
        names, parts = list(JOINT), []
        for begin in range(0, len(self.codes), BATCH_ROWS):
            some = slice(begin, begin + BATCH_ROWS)
            rounded: dict[str, Any] = {
                f"{side}_score": grid.joint_scores(self.scores[side][some]) for side in SIDES
            }
            frame = pd.DataFrame({**rounded, "label": self.codes[some] % 3})
            parts.append(frame.groupby(names, sort=False).size().rename("n").reset_index())
        every = pd.concat(parts, ignore_index=True)
        summed = every.groupby(names, as_index=False)["n"].sum()
        return pd.DataFrame(summed).assign(label=_truths(summed["label"].to_numpy()))


def _runs(values: Floats, code: int, grid: ScoreGrid) -> tuple[npt.NDArray[Any], ...]:
    """Return the rounded scores of sorted ones, least and largest of each, their counts, a code."""
    rounded = np.concatenate(
        [
            grid.scores(values[begin : begin + BATCH_ROWS])
            for begin in range(0, len(values), BATCH_ROWS)
        ]
    )
    begins = np.flatnonzero(np.r_[True, rounded[1:] != rounded[:-1]])
    ends = np.r_[begins[1:], len(rounded)]
    codes = np.full(len(begins), code, np.int8)
    return rounded[begins], values[begins], values[ends - 1], ends - begins, codes


def _truths(codes: npt.NDArray[Any]) -> pd.arrays.BooleanArray:
    return pd.arrays.BooleanArray(codes == 1, codes == _MISSING)
