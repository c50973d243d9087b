"""Counts of the pairs of one output by scores, alarms, segments and labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from sys import float_info
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.counts.bins import grid_key
from comparison.counts.score_grid import ScoreGrid
from comparison.counts.tables import OutputAggregates
from comparison.engines.grouping import (
    ALARMS,
    FLIPS,
    HOUR,
    JOINT,
    SEGMENTS,
    count_by,
    fetched,
    framed,
    stacked,
)
from comparison.engines.sources import scored_outputs
from comparison.pairs.columns import SIDES

MOST_FLIPS: Final = 100
MOST_THRESHOLDS: Final = 64
"""Of more thresholds than that, the most frequent become edges of the grid."""


@dataclass(frozen=True, slots=True)
class ScoreRange:
    """Hold the smallest and the largest finite score of both sides; None without any."""

    low: float | None
    high: float | None

    @property
    def bounds(self) -> tuple[float, float]:
        """Return both; without any score, those of a probability."""
        if self.low is None or self.high is None:
            return 0.0, 1.0
        return self.low, self.high


def outputs_of(step: ir.Table, wanted: Sequence[str] | None) -> dict[str, ScoreRange]:
    """Return the range of each output that is wanted, or else has scores, in order of columns."""
    names = tuple(wanted) if wanted is not None else scored_outputs(step.columns)
    scores = {
        (name, side): _[f"{side}_score.{name}"]
        for name in names
        for side in SIDES
        if f"{side}_score.{name}" in step.columns
    }
    figures: dict[str, Any] = {"all": _.count()}
    for place, score in enumerate(scores.values()):
        figures[f"n{place}"] = score.count()
        figures[f"low{place}"] = score.min(where=is_finite(score))
        figures[f"high{place}"] = score.max(where=is_finite(score))
    [row] = step.agg(**figures).to_pyarrow().to_pylist()
    found = {}
    for name in names:
        places = [place for place, (output, _side) in enumerate(scores) if output == name]
        if wanted is None and not any(row[f"n{place}"] for place in places):
            continue
        lows = [row[f"low{place}"] for place in places if row[f"low{place}"] is not None]
        highs = [row[f"high{place}"] for place in places if row[f"high{place}"] is not None]
        found[name] = ScoreRange(min(lows, default=None), max(highs, default=None))
    return found


def is_finite(value: Any) -> Any:
    """Say whether a number is none of NaN, infinite and missing.

    Engines order NaN differently, but none puts it between two finite numbers.
    """
    return (value >= -float_info.max) & (value <= float_info.max)


def both_ok(pairs: ir.Table) -> ir.Table:
    """Keep the pairs that both sides answered."""
    return pairs.filter(_.primary_status == "ok", _.candidate_status == "ok")


def with_columns(pairs: ir.Table, columns: Sequence[str], kind: str) -> ir.Table:
    """Add the columns that nobody ever recorded, all missing."""
    absent = {name: ibis.null(kind) for name in columns if name not in pairs.columns}
    return pairs.mutate(**absent) if absent else pairs


def with_output(pairs: ir.Table, output: str) -> ir.Table:
    """Add the columns of an output that nobody ever recorded, all missing."""
    numbers = [f"{side}_{what}.{output}" for side in SIDES for what in ("score", "threshold")]
    truths = [f"{side}_decision.{output}" for side in SIDES]
    return with_columns(with_columns(pairs, numbers, "float64"), truths, "boolean")


def decided_at(pairs: ir.Table, output: str, thresholds: Mapping[str, float]) -> ir.Table:
    """Put thresholds, by side, in the place of those recorded, and decide anew at them."""
    columns: dict[str, Any] = {}
    for side, threshold in thresholds.items():
        score = pairs[f"{side}_score.{output}"]
        # As a text, since DuckDB takes a literal number for a decimal, which comes back inexact.
        columns[f"{side}_threshold.{output}"] = ibis.literal(repr(threshold)).cast("float64")
        columns[f"{side}_decision.{output}"] = ibis.ifelse(
            is_finite(score), score >= threshold, None
        )
    return pairs.mutate(**columns) if columns else pairs


@dataclass(frozen=True, slots=True)
class OutputGrid:
    """Hold the grid of an output, its thresholds, and how many pairs no score is known of."""

    output: str
    grid: ScoreGrid
    thresholds: dict[str, tuple[float, ...]]
    unscored: int

    @classmethod
    def of(
        cls, step: ir.Table, output: str, scores: ScoreRange, grid: ScoreGrid | None
    ) -> "OutputGrid":
        """Ask for the thresholds, which become edges; lay a grid over `scores` unless given."""
        paired = both_ok(step)
        both = _scored(paired, output)
        decided = both & paired[f"primary_decision.{output}"].notnull()
        decided &= paired[f"candidate_decision.{output}"].notnull()
        used = framed(
            count_by(
                paired,
                scored=both,
                **{
                    side: ibis.ifelse(decided, paired[f"{side}_threshold.{output}"], None)
                    for side in SIDES
                },
            ),
            {"scored": "boolean", **dict.fromkeys(SIDES, "float64"), "n": "int64"},
        )
        if grid is None:
            grid = ScoreGrid.over(*scores.bounds)
        return cls(
            output,
            grid.with_thresholds(_most_frequent(used)),
            {side: tuple(np.unique(used[side].dropna()).tolist()) for side in SIDES},
            int(used.loc[~used["scored"], "n"].sum()),
        )

    def columns(self, place: int, step: ir.Table) -> Iterator[tuple[str, Any]]:
        """Yield what is counted of each pair: key and alarm of each side, numbered by `place`.

        Keys are missing where either score is, alarms where either key or alarm is.
        """
        scored = _scored(step, self.output)
        scored &= (step.primary_status == "ok") & (step.candidate_status == "ok")
        alarms = {side: step[f"{side}_decision.{self.output}"] for side in SIDES}
        decided = scored & alarms["primary"].notnull() & alarms["candidate"].notnull()
        for side in SIDES:
            # Engines that compute both branches must not meet a NaN on the way to a whole number.
            score = ibis.ifelse(scored, step[f"{side}_score.{self.output}"], 0.0)
            yield f"{side}_key{place}", ibis.ifelse(scored, grid_key(self.grid, score), None)
            yield f"{side}_alarm{place}", ibis.ifelse(decided, alarms[side], None)


@dataclass(frozen=True, slots=True)
class OutputCounts:
    """Count an output in `prepared`, which has the columns of its grid at `place`."""

    prepared: ir.Table
    place: int

    def aggregates(self, grid: OutputGrid, flips: pd.DataFrame) -> OutputAggregates:
        """Run the queries."""
        return OutputAggregates(
            name=grid.output,
            grid=grid.grid,
            thresholds=grid.thresholds,
            unscored=grid.unscored,
            joint=self._joint(grid.grid),
            alarms=self._alarms(),
            segments=self._by_segment(),
            flips=flips,
        )

    @property
    def _label(self) -> dict[str, Any]:
        return {"label": _.label} if "label" in self.prepared.columns else {}

    @property
    def _decided(self) -> ir.Table:
        return self.prepared.filter(_[f"primary_alarm{self.place}"].notnull())

    @property
    def _alarm(self) -> dict[str, Any]:
        return {f"{side}_alarm": _[f"{side}_alarm{self.place}"] for side in SIDES} | self._label

    def _joint(self, grid: ScoreGrid) -> pd.DataFrame:
        scored = self.prepared.filter(_[f"primary_key{self.place}"].notnull())
        keys = {f"{side}_bin": _[f"{side}_key{self.place}"] for side in SIDES}
        cells = framed(count_by(scored, **keys, **self._label), {**JOINT, "n": "int64"})
        cells = cells.assign(**{name: grid.bins_of_keys(cells[name]) for name in keys})
        return _merged(cells.sort_values(list(JOINT), ignore_index=True))

    def _alarms(self) -> pd.DataFrame:
        return fetched(count_by(self._decided, period=_.hour * HOUR, **self._alarm), ALARMS)

    def _by_segment(self) -> pd.DataFrame:
        tables = []
        for name in sorted(self.prepared.columns):  # sources differ in the order of their columns
            if name.startswith("segment."):
                table = fetched(count_by(self._decided, value=_[name], **self._alarm), SEGMENTS)
                segment = pd.array([name.removeprefix("segment.")] * len(table), dtype="string")
                tables.append(table.assign(segment=segment))
        return stacked(tables, SEGMENTS)


def flips_of(
    step: ir.Table, output: str, labels: ir.Table | None, cutoff: datetime | None
) -> pd.DataFrame:
    """Return the pairs whose alarms differ, those with the largest difference of scores first.

    Pairs accepted from `cutoff` on are taken as not labelled.
    """
    sides = {
        f"{side}_{name}": _[f"{side}_{what}.{output}"]
        for side in SIDES
        for name, what in (("score", "score"), ("alarm", "decision"))
    }
    paired = both_ok(step).filter(_scored(step, output))
    differ = paired.select("request_id", "time", **sides)
    differ = differ.filter(_.primary_alarm != _.candidate_alarm)
    largest = differ.mutate(size=(_.primary_score - _.candidate_score).abs())
    order = (ibis.desc("size"), "time", "request_id")
    found = framed(largest.order_by(*order).limit(MOST_FLIPS).drop("size"), FLIPS)
    if labels is None or found.empty:
        return found
    old = [True] * len(found) if cutoff is None else (found["time"] < cutoff).tolist()
    ids = found["request_id"].tolist()
    rows = labels.filter(_.label_request_id.isin(ids)).to_pyarrow().to_pylist()
    label_of = {row["label_request_id"]: row["label"] for row in rows}
    label = [label_of.get(each) if known else None for each, known in zip(ids, old, strict=True)]
    return found.assign(label=pd.array(label, dtype="boolean"))


def _merged(cells: pd.DataFrame) -> pd.DataFrame:
    """Add up rows of the same bins and label; keys beyond the scale share a bin."""
    if not cells.duplicated(list(JOINT)).any():
        return cells
    return cells.groupby(list(JOINT), dropna=False)["n"].sum().reset_index()


def _scored(pairs: ir.Table, output: str) -> Any:
    """Say of which pairs both scores are known; missing counts as no."""
    primary, candidate = (is_finite(pairs[f"{side}_score.{output}"]) for side in SIDES)
    return primary.fill_null(False) & candidate.fill_null(False)


def _most_frequent(used: pd.DataFrame) -> list[float]:
    """Return the thresholds of both sides, at most MOST_THRESHOLDS, the most frequent ones."""
    counts = pd.concat([used.groupby(side)["n"].sum() for side in SIDES])
    total = counts.groupby(level=0).sum().sort_values(ascending=False, kind="stable")
    return [float(each) for each in total.index[:MOST_THRESHOLDS]]
