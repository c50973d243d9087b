"""Counts of the pairs of outputs by scores, alarms, segments and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from comparison.counts.bins import grid_score
from comparison.counts.grids import OutputGrid
from comparison.counts.labelled import no_coverage
from comparison.counts.output_rows import (
    IS_DECIDED,
    OUTPUT,
    ByOutput,
    OutputRows,
    UsualRows,
    union_of,
)
from comparison.counts.score_grid import EXACT, ScoreGrid
from comparison.counts.segments import (
    SEGMENT_CODE,
    fetched_by_segment,
    rows_by_segment,
    segments_of,
)
from comparison.counts.tables import OutputAggregates, UnitAggregates, UnitPositives
from comparison.engines.arrays import ArrayRows, Arrays, truths
from comparison.engines.grouping import (
    ALARMS,
    CELLS,
    COVERAGE,
    FLIPS,
    JOINT,
    SCORES,
    SEGMENTS,
    empty,
    stacked,
)
from comparison.pairs.columns import SIDES

MOST_FLIPS: Final = 50

FETCHED_FLIPS: Final = 20_000
"""Flips that are fetched, to find the largest here: a statement for many outputs is long."""

Counted = Mapping[int, pd.DataFrame]
"""A table of counts for each output, by its place."""


@dataclass(frozen=True, slots=True)
class OutputCounts:
    """Count the outputs of prepared pairs, all of them in the same statements."""

    rows: OutputRows
    grids: Sequence[OutputGrid]
    """By place."""
    period: int
    """Nanoseconds of a period of alarms."""

    def aggregates(
        self, by_unit: Mapping[int, UnitAggregates], unit_positives: Mapping[int, UnitPositives]
    ) -> tuple[OutputAggregates, ...]:
        """Run the queries."""
        scores = self._scores()
        laid = {place: self._laid(place, table) for place, table in scores.items()}
        joint, alarms, segments = self._joint(laid), self._alarms(), self._by_segment()
        coverage, flips, outside = self._coverage(), self._flips(alarms), self._outside()
        return tuple(
            OutputAggregates(
                name=grid.output,
                grid=laid[place],
                thresholds=grid.thresholds,
                unscored=grid.unscored,
                unscored_sides=grid.unscored_sides,
                scores=scores[place],
                joint=joint[place],
                alarms=alarms[place],
                segments=segments[place],
                coverage=coverage.get(place, no_coverage()),
                flips=flips[place],
                by_unit=by_unit.get(place),
                outside=outside[place],
                unit_positives=unit_positives.get(place),
            )
            for place, grid in enumerate(self.grids)
        )

    @property
    def _every(self) -> ByOutput:
        return self.rows.every

    def _laid(self, place: int, scores: pd.DataFrame) -> ScoreGrid:
        return self.grids[place].grid.with_joint(scores["score"].to_numpy(dtype=np.float64))

    def _scores(self) -> Counted:
        by = {name: dtype for name, dtype in SCORES.items() if name != "side"}
        keys = [name for name in by if name not in ("low", "high")]
        rounding = {place: (grid.grid.digits, grid.grid) for place, grid in enumerate(self.grids)}
        found: dict[int, list[pd.DataFrame]] = {place: [] for place in self._every.places}
        for side in SIDES:
            exact = {"low": side, "high": side}
            counts = self.rows.count(
                "scores",
                partial(_rounded, rounding=rounding, names={side: "score"}, exact=exact),
                keys,
                {"n": "sum", "low": "least", "high": "largest"},
                (side, _told(rounding)),
                arrays=_arrays(rounding, {side: "score"}, exact),
            )
            for place, table in self._every.fetched(counts, by).items():
                named = pd.array([side] * len(table), dtype="string")
                found[place].append(_bounded(table.assign(side=named)[[*SCORES, "n"]]))
        return {place: stacked(tables, SCORES) for place, tables in found.items()}

    def _joint(self, laid: Mapping[int, ScoreGrid]) -> Counted:
        rounding = {place: (grid.joint_digits, grid) for place, grid in laid.items()}
        names = {side: f"{side}_score" for side in SIDES}
        counts = self.rows.count(
            "joint",
            partial(_rounded, rounding=rounding, names=names),
            list(JOINT),
            parameters=(_told(rounding),),
            arrays=_arrays(rounding, names),
        )
        return self._every.fetched(counts, JOINT)

    def _alarms(self) -> Counted:
        def rows(every: OutputRows) -> ir.Table:
            period = _.time - _.time % self.period
            return every.decided.select(*every.every.key, *CELLS, period=period, label=every.label)

        counts = self.rows.count("alarms", rows, list(ALARMS), parameters=(self.period,))
        return self._every.fetched(counts, ALARMS)

    def _by_segment(self) -> Counted:
        segments = segments_of(self.rows.table)
        if not segments:
            return {place: empty(SEGMENTS) for place in self._every.places}

        def rows(every: OutputRows) -> ir.Table:
            key = every.every.key
            held = every.decided.select(*key, *segments, *CELLS, label=every.label)
            return rows_by_segment(held, segments)

        by = [SEGMENT_CODE, *(name for name in SEGMENTS if name != "segment")]
        counts = self.rows.count("segments", rows, by, parameters=(tuple(segments),))
        return fetched_by_segment(self._every, counts, segments, SEGMENTS)

    def _coverage(self) -> Counted:
        """Count the first pairs of requests by who served, both alarms, age and a label."""
        if not self.rows.labelled:
            return {}
        labelled = self.rows.among(self.rows.labelled)

        def rows(every: OutputRows) -> ir.Table:
            alarms = {name: ibis.ifelse(IS_DECIDED, _[name], None) for name in CELLS}
            if not every.labelled:  # all of these count
                return every.table.select(
                    *every.every.key, "served", old=ibis.literal(True), label=_.given, **alarms
                )
            first = every.table.filter(_.first_of_request)
            return first.select(*every.every.key, "served", "old", label=_.given, **alarms)

        counts = labelled.count("coverage", rows, list(COVERAGE))
        return labelled.every.fetched(counts, COVERAGE)

    def _outside(self) -> Counted:
        """Count the pairs in which a side decided nothing, by what the other decided.

        A pair whose shadow was skipped is not one: the flag left it out.
        """

        def rows(every: OutputRows) -> ir.Table:
            return every.table.filter(~IS_DECIDED & ~_.skipped).select(*every.every.key, *CELLS)

        counts = self.rows.unlabelled.count("outside", rows, list(CELLS))
        return self._every.fetched(counts, CELLS)

    def _flips(self, alarms: Counted) -> Counted:
        """Return the pairs whose alarms differ, those with the largest difference of scores first.

        Of each direction, alarms of one side alone, there are at most MOST_FLIPS. Their labels are
        shown however young they are.
        """
        if self.rows.usual is not None:
            return self._with_labels(self.rows.usual)
        if self.rows.counted is not None:
            return self._flips_of_blocks()
        differ = _differ(self.rows)
        counts = pd.concat(alarms.values(), ignore_index=True)
        flips = int(counts.loc[counts["primary_alarm"] != counts["candidate_alarm"], "n"].sum())
        if flips > FETCHED_FLIPS:
            return self._every.framed(self._largest(differ), FLIPS)
        tables = self._every.framed(differ, FLIPS)
        return {place: _largest(table) for place, table in tables.items()}

    def _flips_of_blocks(self) -> Counted:
        """Return them where each block keeps its own largest ones."""
        key = self._every.key
        counts = self.rows.count("flips", _differ, list(FLIPS), condense=partial(_condensed, key))
        tables = self._every.framed(counts, {**FLIPS, "n": "int64"})
        return {
            place: _largest(table.loc[table.index.repeat(table["n"])].drop(columns="n"))
            for place, table in tables.items()
        }

    def _with_labels(self, usual: UsualRows) -> Counted:
        found = replace(self, rows=usual.every)._flips_of_blocks()
        return {
            place: table.assign(
                label=pd.array(
                    usual.labels_of(table["request_id"].tolist()).get(place, [None] * len(table)),
                    dtype="boolean",
                )
            )
            for place, table in found.items()
        }

    def _largest(self, differ: ir.Table) -> ir.Table:
        order = (ibis.desc("size"), "time", "request_id")
        sized = differ.mutate(size=(_.primary_score - _.candidate_score).abs())
        # Polars knows no row numbers, and ranks no rows.
        each = [
            rows.filter(alarm).order_by(*order).limit(MOST_FLIPS)
            for rows in self._every.parted(sized)
            for alarm in (_.candidate_alarm, ~_.candidate_alarm)
        ]
        return union_of(each).order_by(*self._every.key, *order).drop("size")


def _bounded(scores: pd.DataFrame) -> pd.DataFrame:
    """Let the least and the largest of what was rounded be those of all labels."""
    alike = scores.groupby(["score", "primary_alarm"], dropna=False)
    low, high = alike["low"].transform("min"), alike["high"].transform("max")
    return scores.assign(low=low, high=high)


def _differ(rows: OutputRows) -> ir.Table:
    """Return the rows whose alarms differ."""
    names = [name for name in FLIPS if name != "label"]
    differ = rows.table.filter(_.primary_alarm != _.candidate_alarm)
    return differ.select(*rows.every.key, *names, label=_.given)


def _told(rounding: Mapping[int, tuple[int, ScoreGrid]]) -> tuple[object, ...]:
    """Return what the scores of outputs are rounded to depends on."""
    return tuple(
        (place, digits, grid.thresholds if digits < EXACT else ())
        for place, (digits, grid) in rounding.items()
    )


def _rounded(
    rows: OutputRows,
    rounding: Mapping[int, tuple[int, ScoreGrid]],
    names: Mapping[str, str],
    exact: Mapping[str, str] = MappingProxyType({}),
) -> ir.Table:
    """Return the scores of sides by these `names`, to so many bits, as a grid says.

    `exact` are as they were, by the name of the column, of sides.
    """
    others = [*rows.every.key, "primary_alarm"]
    alike: dict[tuple[int, tuple[float, ...]], list[int]] = {}
    for place, (digits, grid) in rounding.items():
        kept_apart = grid.thresholds if digits < EXACT else ()
        alike.setdefault((digits, kept_apart), []).append(place)
    tables = []
    for (digits, thresholds), places in alike.items():
        scores = {
            name: grid_score(_[f"{side}_score"], digits, thresholds) for side, name in names.items()
        }
        further = {name: _[f"{side}_score"] for name, side in exact.items()}
        scored = rows.among(places).scored
        tables.append(scored.select(*others, label=rows.label, **scores, **further))
    return union_of(tables)


def _arrays(
    rounding: Mapping[int, tuple[int, ScoreGrid]],
    names: Mapping[str, str],
    exact: Mapping[str, str] = MappingProxyType({}),
) -> ArrayRows[OutputRows]:
    """Say the same as `_rounded` of arrays."""

    def handed(rows: OutputRows) -> ir.Table:
        scores = {side: _[f"{side}_score"] for side in names}
        return rows.scored.select(*rows.every.key, "primary_alarm", label=rows.label, **scores)

    def made(batch: pa.RecordBatch) -> Arrays:
        columns = {name: truths(batch[name]) for name in ("primary_alarm", "label")}
        sides = {side: batch[side].to_numpy() for side in names}
        if OUTPUT in batch.schema.names:
            columns[OUTPUT] = outputs = batch[OUTPUT].to_numpy()
        else:
            outputs = np.full(len(batch), next(iter(rounding)))
        for side, name in names.items():
            columns[name] = np.empty(len(batch))
            for place in np.unique(outputs):
                digits, grid = rounding[int(place)]
                own = outputs == place
                columns[name][own] = grid.rounded(sides[side][own], digits)
        return columns | {name: sides[side] for name, side in exact.items()}

    return ArrayRows(handed, made)


def _condensed(key: Sequence[str], flips: pa.Table) -> pa.Table:
    """Keep the largest of each output and direction."""
    size = pc.abs(pc.subtract(flips["primary_score"], flips["candidate_score"]))
    frame = flips.append_column("size", pc.negate(size)).to_pandas(types_mapper=pd.ArrowDtype)
    frame = frame.sort_values(["size", "time", "request_id"], kind="stable")
    kept = frame.groupby([*key, "candidate_alarm"]).head(MOST_FLIPS).drop(columns="size")
    return pa.Table.from_pandas(kept, flips.schema, preserve_index=False)


def _largest(flips: pd.DataFrame) -> pd.DataFrame:
    size = (flips["primary_score"] - flips["candidate_score"]).abs()
    ordered = flips.assign(size=-size).sort_values(["size", "time", "request_id"])
    kept = ordered.groupby("candidate_alarm").head(MOST_FLIPS)
    return pd.DataFrame(kept.drop(columns="size").reset_index(drop=True))
