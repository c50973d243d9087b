"""Counts of the pairs of one output by scores, alarms, segments and labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import float_info
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.counts.bins import grid_score
from comparison.counts.labelled import JoinedLabels, coverage_counts
from comparison.counts.score_grid import MOST_SCORES, SAMPLE, ScoreGrid
from comparison.counts.tables import OutputAggregates, UnitAggregates, UnitPositives
from comparison.engines.grouping import (
    ALARMS,
    CELLS,
    FLIPS,
    JOINT,
    SCORES,
    SEGMENTS,
    count_by,
    fetched,
    framed,
    stacked,
)
from comparison.engines.sources import scored_outputs
from comparison.pairs.columns import SIDES

MOST_FLIPS: Final = 50

COMMON: Final = 0.5
"""Share of alarms beyond which to have none is the rarer side, and the one that tells."""

MOST_THRESHOLDS: Final = 64
"""Of more thresholds than that, the most frequent are kept apart by the grid."""


def outputs_of(step: ir.Table, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the outputs that are wanted, or else have scores, in order of columns."""
    if wanted is not None:
        return tuple(wanted)
    names = scored_outputs(step.columns)
    columns = {
        (name, side): _[f"{side}_score.{name}"].count()
        for name in names
        for side in SIDES
        if f"{side}_score.{name}" in step.columns
    }
    if not columns:
        return ()
    figures = {f"n{place}": count for place, count in enumerate(columns.values())}
    [row] = step.agg(**figures).to_pyarrow().to_pylist()
    scored = {name for place, (name, _side) in enumerate(columns) if row[f"n{place}"]}
    return tuple(name for name in names if name in scored)


def named_segments(step: ir.Table) -> ir.Table:
    """Drop the segments that no pair of the step names: they are those of other flags."""
    names = [name for name in step.columns if name.startswith("segment.")]
    if not names:
        return step
    counts = {f"n{place}": _[name].count() for place, name in enumerate(names)}
    [row] = step.agg(**counts).to_pyarrow().to_pylist()
    unnamed = [name for place, name in enumerate(names) if not row[f"n{place}"]]
    return step.drop(*unnamed) if unnamed else step


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
    if not thresholds:
        return pairs
    columns: dict[str, Any] = {}
    below = _alarms_below(pairs, output)
    for side, threshold in thresholds.items():
        score = pairs[f"{side}_score.{output}"]
        # As a text, since DuckDB takes a literal number for a decimal, which comes back inexact.
        columns[f"{side}_threshold.{output}"] = ibis.literal(repr(threshold)).cast("float64")
        columns[f"{side}_decision.{output}"] = ibis.ifelse(
            is_finite(score), score < threshold if below else score >= threshold, None
        )
    return pairs.mutate(**columns)


def _alarms_below(pairs: ir.Table, output: str) -> bool:
    """Say whether what is recorded as alarms are scores below their thresholds."""
    alarms = pairs.filter(pairs[f"primary_decision.{output}"].fill_null(False))
    low = alarms[f"primary_score.{output}"] < alarms[f"primary_threshold.{output}"]
    [row] = alarms.agg(n=_.count(), low=low.sum()).to_pyarrow().to_pylist()
    return bool(row["n"]) and 2 * int(row["low"] or 0) > int(row["n"])


@dataclass(frozen=True, slots=True)
class OutputGrid:
    """Hold the grid of an output, its thresholds, and how many pairs no score is known of.

    A grid that is given is also that of the table of both sides.
    """

    output: str
    grid: ScoreGrid
    thresholds: dict[str, tuple[float, ...]]
    unscored: int
    is_given: bool
    is_quiet: bool
    """Whether most pairs are alarms of the primary: to group them by unit would cost, and show
    little."""

    @classmethod
    def of(cls, step: ir.Table, output: str, grid: ScoreGrid | None) -> "OutputGrid":
        """Ask for the thresholds; round the scores as far as their number wants, unless given."""
        paired = both_ok(step)
        both = _scored(paired, output)
        decided = both & paired[f"primary_decision.{output}"].notnull()
        decided &= paired[f"candidate_decision.{output}"].notnull()
        used = framed(
            count_by(
                paired,
                scored=both,
                alarm=ibis.ifelse(decided, paired[f"primary_decision.{output}"], None),
                **{
                    side: ibis.ifelse(decided, paired[f"{side}_threshold.{output}"], None)
                    for side in SIDES
                },
            ),
            {
                "scored": "boolean",
                "alarm": "boolean",
                **dict.fromkeys(SIDES, "float64"),
                "n": "int64",
            },
        )
        is_given = grid is not None
        if grid is None:
            scored = int(used.loc[used["scored"], "n"].sum())
            grid = ScoreGrid() if scored <= MOST_SCORES else _of_sample(paired.filter(both), output)
        return cls(
            output,
            grid.with_thresholds(_most_frequent(used)),
            {side: tuple(np.unique(used[side].dropna()).tolist()) for side in SIDES},
            int(used.loc[~used["scored"], "n"].sum()),
            is_given,
            _is_mostly(used["alarm"], used["n"]),
        )

    def columns(self, place: int, step: ir.Table) -> Iterator[tuple[str, Any]]:
        """Yield what is counted of each pair: score and alarm of each side, numbered by `place`.

        Scores are missing where either is, alarms where either is; `fired` is the primary's alarm
        whatever the candidate's.
        """
        scored = _scored(step, self.output)
        scored &= (step.primary_status == "ok") & (step.candidate_status == "ok")
        alarms = {side: step[f"{side}_decision.{self.output}"] for side in SIDES}
        decided = scored & alarms["primary"].notnull() & alarms["candidate"].notnull()
        for side in SIDES:
            score = step[f"{side}_score.{self.output}"]
            yield f"{side}_score{place}", ibis.ifelse(scored, score, None)
            yield f"{side}_alarm{place}", ibis.ifelse(decided, alarms[side], None)
        yield f"fired{place}", ibis.ifelse(scored, alarms["primary"], None)


def _is_mostly(alarm: "pd.Series[Any]", n: "pd.Series[int]") -> bool:
    """Say whether alarms are the common case of what was decided."""
    known = n[alarm.notna()].sum()
    return bool(known) and float(n[alarm.fillna(False)].sum()) > COMMON * float(known)


def _of_sample(scored: ir.Table, output: str) -> ScoreGrid:
    """Return the grid for many pairs by the scores of some: of those with the least span ids."""
    names = [f"{side}_score.{output}" for side in SIDES]
    sample = scored.order_by("span_id").limit(SAMPLE).select(*names).to_pyarrow()
    return ScoreGrid.of_sample(*(sample.column(name).to_numpy() for name in names))


@dataclass(frozen=True, slots=True)
class OutputCounts:
    """Count an output in `prepared`, which has the columns of its grid at `place`."""

    prepared: ir.Table
    place: int

    def aggregates(
        self,
        grid: OutputGrid,
        flips: pd.DataFrame,
        by_unit: UnitAggregates | None,
        outside: pd.DataFrame,
        unit_positives: UnitPositives | None = None,
    ) -> OutputAggregates:
        """Run the queries."""
        scores = self._scores(grid.grid)
        if grid.is_given:
            laid = grid.grid
        else:
            laid = grid.grid.with_joint(scores["score"].to_numpy(dtype=np.float64))
        return OutputAggregates(
            name=grid.output,
            grid=laid,
            thresholds=grid.thresholds,
            unscored=grid.unscored,
            scores=scores,
            joint=self._joint(laid),
            alarms=self._alarms(),
            segments=self._by_segment(),
            coverage=coverage_counts(self.prepared, self.place),
            flips=flips,
            by_unit=by_unit,
            outside=outside,
            unit_positives=unit_positives,
        )

    @property
    def _label(self) -> dict[str, Any]:
        name = f"label{self.place}"
        return {"label": _[name]} if name in self.prepared.columns else {}

    @property
    def _decided(self) -> ir.Table:
        return self.prepared.filter(_[f"primary_alarm{self.place}"].notnull())

    @property
    def _alarm(self) -> dict[str, Any]:
        return {f"{side}_alarm": _[f"{side}_alarm{self.place}"] for side in SIDES} | self._label

    @property
    def _scored(self) -> ir.Table:
        return self.prepared.filter(_[f"primary_score{self.place}"].notnull())

    def _scores(self, grid: ScoreGrid) -> pd.DataFrame:
        tables = []
        for side in SIDES:
            score = _[f"{side}_score{self.place}"]
            counts = self._scored.group_by(
                score=grid_score(score, grid.digits, grid.thresholds),
                primary_alarm=_[f"fired{self.place}"],
                **self._label,
            ).agg(low=score.min(), high=score.max(), n=_.count())
            by = {name: dtype for name, dtype in SCORES.items() if name != "side"}
            table = fetched(counts, by)
            named = pd.array([side] * len(table), dtype="string")
            tables.append(table.assign(side=named)[[*SCORES, "n"]])
        return stacked(tables, SCORES)

    def _joint(self, grid: ScoreGrid) -> pd.DataFrame:
        scores = {
            f"{side}_score": grid_score(
                _[f"{side}_score{self.place}"], grid.joint_digits, grid.thresholds
            )
            for side in SIDES
        }
        return fetched(count_by(self._scored, **scores, **self._label), JOINT)

    def _alarms(self) -> pd.DataFrame:
        return fetched(count_by(self._decided, period=_.period, **self._alarm), ALARMS)

    def _by_segment(self) -> pd.DataFrame:
        tables = []
        for name in sorted(self.prepared.columns):  # sources differ in the order of their columns
            if name.startswith("segment."):
                table = fetched(count_by(self._decided, value=_[name], **self._alarm), SEGMENTS)
                segment = pd.array([name.removeprefix("segment.")] * len(table), dtype="string")
                tables.append(table.assign(segment=segment))
        return stacked(tables, SEGMENTS)


def is_decided(pairs: ir.Table, output: str) -> Any:
    """Say of which pairs both sides' decisions are known; missing counts as no."""
    known = _scored(pairs, output)
    known &= (pairs.primary_status == "ok").fill_null(False)
    known &= (pairs.candidate_status == "ok").fill_null(False)
    for side in SIDES:
        known &= pairs[f"{side}_decision.{output}"].notnull()
    return known


def outside_counts(step: ir.Table, output: str) -> pd.DataFrame:
    """Count the pairs in which a side decided nothing, by what the other decided.

    A pair whose shadow was skipped is not one: the flag left it out.
    """
    sides = ("primary_status", "candidate_status")
    skipped = (step[sides[0]] == "skipped") | (step[sides[1]] == "skipped")
    left_out = step.filter(~is_decided(step, output) & ~skipped.fill_null(False))
    alarms = {}
    for side in SIDES:
        known = (left_out[f"{side}_status"] == "ok") & is_finite(left_out[f"{side}_score.{output}"])
        decision = left_out[f"{side}_decision.{output}"]
        alarms[f"{side}_alarm"] = ibis.ifelse(known.fill_null(False), decision, None)
    return fetched(count_by(left_out, **alarms), CELLS)


def flips_of(step: ir.Table, output: str, place: int, labels: JoinedLabels | None) -> pd.DataFrame:
    """Return the pairs whose alarms differ, those with the largest difference of scores first.

    Of each direction, alarms of one side alone, there are at most MOST_FLIPS. Their labels are
    shown however young they are.
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
    # Polars knows no row numbers, and ranks no rows.
    each = (largest.filter(alarm) for alarm in (_.primary_alarm, ~_.primary_alarm))
    kept = ibis.union(*(some.order_by(*order).limit(MOST_FLIPS) for some in each))
    found = framed(kept.order_by(*order).drop("size", "primary_alarm"), FLIPS)
    if labels is None or found.empty:
        return found
    ids = found["request_id"].tolist()
    known = labels.of_requests(place, ids)
    return found.assign(label=pd.array([known.get(each) for each in ids], dtype="boolean"))


def _scored(pairs: ir.Table, output: str) -> Any:
    """Say of which pairs both scores are known; missing counts as no."""
    primary, candidate = (is_finite(pairs[f"{side}_score.{output}"]) for side in SIDES)
    return primary.fill_null(False) & candidate.fill_null(False)


def _most_frequent(used: pd.DataFrame) -> list[float]:
    """Return the thresholds of both sides, at most MOST_THRESHOLDS, the most frequent ones."""
    counts = pd.concat([used.groupby(side)["n"].sum() for side in SIDES])
    total = counts.groupby(level=0).sum().sort_values(ascending=False, kind="stable")
    return [float(each) for each in total.index[:MOST_THRESHOLDS]]
