"""Count the pairs of outputs by scores, alarms, segments and labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from comparison.counts.bins import grid_score
from comparison.counts.labels.joined import no_coverage
from comparison.counts.outputs.grids import OutputGrid
from comparison.counts.outputs.rows import (
    OUTPUT,
    ByOutput,
    MajorityRows,
    OutputRows,
    union_of,
)
from comparison.counts.outputs.score_grid import EXACT, ScoreGrid
from comparison.counts.outputs.segments import (
    SEGMENT_CODE,
    fetched_by_segment,
    rows_by_segment,
    segments_of,
)
from comparison.counts.tables import OutputAggregates, UnitAggregates, UnitPositives
from comparison.engines.arrays import Array, ArrayRows, Arrays, truths
from comparison.engines.grouping import (
    ALARMS,
    CELLS,
    COVERAGE,
    FLIPS,
    JOINT,
    SCORES,
    SEGMENTS,
    Dtypes,
    empty,
    fetched,
    summed,
)
from comparison.pairs.sides import SIDES

MOST_FLIPS: Final = 50

FETCHED_FLIPS: Final = 20_000
"""Up to so many flips are fetched and sorted here: a statement that sorts many outputs is long."""

Counted = Mapping[int, pd.DataFrame]
"""A table of counts for each output, by its place."""


@dataclass(frozen=True, slots=True)
class OutputCounts:
    """Counts of the outputs of prepared pairs; a statement counts all outputs."""

    rows: OutputRows
    grids: Sequence[OutputGrid]
    """By the place of an output."""
    period: int
    """Nanoseconds of a period of alarms."""

    def aggregates(
        self, by_unit: Mapping[int, UnitAggregates], unit_positives: Mapping[int, UnitPositives]
    ) -> tuple[OutputAggregates, ...]:
        """Run the queries, and return the tables of each output."""
        scores = self._scores()
        grids = {place: self._grid(place, table) for place, table in scores.items()}
        joint, decisions, segments = self._joint(grids), self._decisions(), self._by_segment()
        alarms, coverage, outside = (
            self._outputs.split(part(decisions, self._outputs.keyed))
            for part in (_alarms, _coverage, _outside)
        )
        flips = self._flips(alarms)
        return tuple(
            OutputAggregates(
                name=grid.output,
                grid=grids[place],
                thresholds=grid.thresholds,
                unscored=grid.unscored,
                unscored_by_side=grid.unscored_by_side,
                scores=scores[place],
                joint=joint[place],
                alarms=alarms[place],
                segments=segments[place],
                coverage=coverage[place] if place in self.rows.labelled else no_coverage(),
                flips=flips[place],
                by_unit=by_unit.get(place),
                outside=outside[place],
                unit_positives=unit_positives.get(place),
            )
            for place, grid in enumerate(self.grids)
        )

    @property
    def _outputs(self) -> ByOutput:
        return self.rows.outputs

    def _grid(self, place: int, scores: pd.DataFrame) -> ScoreGrid:
        return self.grids[place].grid.with_joint(scores["score"].to_numpy(dtype=np.float64))

    def _scores(self) -> Counted:
        by = [name for name in SCORES if name not in ("low", "high")]
        rounding = {place: (grid.grid.digits, grid.grid) for place, grid in enumerate(self.grids)}
        counts = self.rows.count(
            "scores",
            partial(_by_side, rounding=rounding),
            by,
            {"n": "sum", "low": "least", "high": "largest"},
            (_rounding_key(rounding),),
            arrays=_arrays(rounding, is_joint=False),
        )
        found = fetched(counts, self._outputs.keyed({**SCORES, "side": "int64"}))
        return self._outputs.split(_with_sides(_with_common_bounds(found, self._outputs.key)))

    def _joint(self, grids: Mapping[int, ScoreGrid]) -> Counted:
        rounding = {place: (grid.joint_digits, grid) for place, grid in grids.items()}
        names = {side: f"{side}_score" for side in SIDES}
        counts = self.rows.count(
            "joint",
            partial(_rounded, rounding=rounding, names=names),
            list(JOINT),
            parameters=(_rounding_key(rounding),),
            arrays=_arrays(rounding, is_joint=True),
        )
        return self._outputs.fetched(counts, JOINT)

    def _decisions(self) -> pd.DataFrame:
        """Count the pairs by the columns of the tables alarms, coverage and outside.

        All outputs are in one frame: summing takes as long for all of them as for one.
        """

        def rows_of(rows: OutputRows) -> ir.Table:
            counts = {"first": _.first_of_request, "old": _.old}
            if not rows.labelled:  # without labels, all pairs count
                counts = dict.fromkeys(counts, ibis.literal(True))
            period = _.time - _.time % self.period
            return rows.table.select(
                *rows.outputs.key,
                "served",
                "skipped",
                *CELLS,
                period=period,
                label=_.given,
                **counts,
            )

        by = {"period": ALARMS["period"], "skipped": "boolean", "first": "boolean", **COVERAGE}
        counts = self.rows.count("decisions", rows_of, list(by), parameters=(self.period,))
        return fetched(counts, self._outputs.keyed(by))

    def _by_segment(self) -> Counted:
        segments = segments_of(self.rows.table)
        if not segments:
            return {place: empty(SEGMENTS) for place in self._outputs.places}

        def rows_of(rows: OutputRows) -> ir.Table:
            by = [*rows.outputs.key, *segments, *CELLS]
            # Group by all segments first: each row is read once, and only few rows are left.
            alike = rows.decided.mutate(label=rows.label).group_by(*by, "label")
            return rows_by_segment(alike.agg(n=_.count()), segments)

        by = [SEGMENT_CODE, *(name for name in SEGMENTS if name != "segment")]
        counts = self.rows.count("segments", rows_of, by, parameters=(tuple(segments),))
        return fetched_by_segment(self._outputs, counts, segments, SEGMENTS)

    def _flips(self, alarms: Counted) -> Counted:
        """Return the pairs whose alarms differ, largest difference of scores first.

        There are at most MOST_FLIPS for each direction (an alarm of only one side). Their labels
        are shown even if the pairs are too young for them to count.
        """
        if self.rows.majority is not None:
            return self._with_labels(self.rows.majority)
        if self.rows.counted is not None:
            return self._kept_flips()
        flipped = _flipped(self.rows)
        counts = pd.concat(alarms.values(), ignore_index=True)
        flips = int(counts.loc[counts["primary_alarm"] != counts["candidate_alarm"], "n"].sum())
        if flips > FETCHED_FLIPS:
            return self._outputs.framed(self._largest(flipped), FLIPS)
        tables = self._outputs.framed(flipped, FLIPS)
        return {place: _largest(table) for place, table in tables.items()}

    def _kept_flips(self) -> Counted:
        """Return the flips from kept counts, which have the largest flips of each file of pairs."""
        key = self._outputs.key
        counts = self.rows.count(
            "flips", _flipped, list(FLIPS), condense=partial(_condense_flips, key)
        )
        tables = self._outputs.framed(counts, {**FLIPS, "n": "int64"})
        return {
            place: _largest(table.loc[table.index.repeat(table["n"])].drop(columns="n"))
            for place, table in tables.items()
        }

    def _with_labels(self, majority: MajorityRows) -> Counted:
        found = replace(self, rows=majority.all_rows)._kept_flips()
        return {
            place: table.assign(
                label=pd.array(
                    majority.labels_of(table["request_id"].tolist()).get(
                        place, [None] * len(table)
                    ),
                    dtype="boolean",
                )
            )
            for place, table in found.items()
        }

    def _largest(self, differ: ir.Table) -> ir.Table:
        order = (ibis.desc("size"), "time", "request_id")
        sized = differ.mutate(size=(_.primary_score - _.candidate_score).abs())
        # A query for each direction: Polars has neither row numbers nor ranks.
        each = [
            rows.filter(alarm).order_by(*order).limit(MOST_FLIPS)
            for rows in self._outputs.filtered(sized)
            for alarm in (_.candidate_alarm, ~_.candidate_alarm)
        ]
        return union_of(each).order_by(*self._outputs.key, *order).drop("size")


Keyed = Callable[[Dtypes], dict[str, str]]
"""Adds the column of outputs to the columns of a table."""


def _alarms(decisions: pd.DataFrame, keyed: Keyed) -> pd.DataFrame:
    """Sum the pairs with both decisions by time, alarms and label, if the label counts."""
    known = decisions.loc[_are_known(decisions)]
    return summed(known.assign(label=known["label"].where(known["old"])), keyed(ALARMS))


def _coverage(decisions: pd.DataFrame, keyed: Keyed) -> pd.DataFrame:
    """Sum the first pairs of requests by served side, alarms, age and label."""
    first = decisions.loc[decisions["first"]]
    known = _are_known(first)
    cells = {name: first[name].where(known) for name in CELLS}
    return summed(first.assign(**cells), keyed(COVERAGE))


def _outside(decisions: pd.DataFrame, keyed: Keyed) -> pd.DataFrame:
    """Sum the pairs without a decision of one side, by the decision of the other.

    Pairs whose shadow was skipped are left out: the shadow flag or the budget skips on purpose.
    """
    return summed(decisions.loc[~_are_known(decisions) & ~decisions["skipped"]], keyed(CELLS))


def _are_known(decisions: pd.DataFrame) -> "pd.Series[bool]":
    return decisions[list(CELLS)].notna().all(axis=1)


def _with_sides(scores: pd.DataFrame) -> pd.DataFrame:
    """Replace the numbers of sides by their names."""
    return scores.assign(side=pd.array(SIDES, dtype="string")[scores["side"].to_numpy()])


def _with_common_bounds(scores: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Set `low` and `high` of each rounded score to the bounds over all labels."""
    alike = scores.groupby([*key, "score", "primary_alarm"], dropna=False)
    low, high = alike["low"].transform("min"), alike["high"].transform("max")
    return scores.assign(low=low, high=high)


def _flipped(rows: OutputRows) -> ir.Table:
    """Return the rows whose alarms differ."""
    names = [name for name in FLIPS if name != "label"]
    differ = rows.table.filter(_.primary_alarm != _.candidate_alarm)
    return differ.select(*rows.outputs.key, *names, label=_.given)


def _rounding_key(rounding: Mapping[int, tuple[int, ScoreGrid]]) -> tuple[object, ...]:
    """Return everything that the rounding of scores depends on."""
    return tuple(
        (place, digits, grid.thresholds if digits < EXACT else ())
        for place, (digits, grid) in rounding.items()
    )


def _rounded(
    rows: OutputRows,
    rounding: Mapping[int, tuple[int, ScoreGrid]],
    names: Mapping[str, str],
    further: Mapping[str, Any] = MappingProxyType({}),
) -> ir.Table:
    """Return scores, rounded by the bits and grid of each output, in a column `names[side]`."""
    others = [*rows.outputs.key, "primary_alarm"]
    places_by_rounding: dict[tuple[int, tuple[float, ...]], list[int]] = {}
    for place, (digits, grid) in rounding.items():
        kept_apart = grid.thresholds if digits < EXACT else ()
        places_by_rounding.setdefault((digits, kept_apart), []).append(place)
    tables = []
    for (digits, thresholds), places in places_by_rounding.items():
        scores = {
            name: grid_score(_[f"{side}_score"], digits, thresholds) for side, name in names.items()
        }
        scored = rows.of_outputs(places).scored
        tables.append(scored.select(*others, label=rows.label, **scores, **further))
    return union_of(tables)


def _by_side(rows: OutputRows, rounding: Mapping[int, tuple[int, ScoreGrid]]) -> ir.Table:
    """Return a row for each side's score: rounded, and unrounded as `low` and `high`."""
    tables = []
    for number, side in enumerate(SIDES):
        exact = dict.fromkeys(("low", "high"), _[f"{side}_score"])
        further = {"side": ibis.literal(number, "int8"), **exact}
        tables.append(_rounded(rows, rounding, {side: "score"}, further))
    return union_of(tables)


def _arrays(
    rounding: Mapping[int, tuple[int, ScoreGrid]], *, is_joint: bool
) -> ArrayRows[OutputRows]:
    """Do with numpy arrays what `_rounded` (joint) and `_by_side` (one side) do in SQL."""

    def select(rows: OutputRows) -> ir.Table:
        scores = {side: _[f"{side}_score"] for side in SIDES}
        return rows.scored.select(*rows.outputs.key, "primary_alarm", label=rows.label, **scores)

    def compute(batch: pa.RecordBatch) -> Arrays:
        columns = {name: truths(batch[name]) for name in ("primary_alarm", "label")}
        if OUTPUT in batch.schema.names:
            columns[OUTPUT] = batch[OUTPUT].to_numpy()
        exact = {side: batch[side].to_numpy() for side in SIDES}
        scores = {
            side: _round_by_output(exact[side], columns.get(OUTPUT), rounding) for side in SIDES
        }
        if is_joint:
            return columns | {f"{side}_score": scores[side] for side in SIDES}
        both = {name: np.tile(column, len(SIDES)) for name, column in columns.items()}
        low = np.concatenate(list(exact.values()))
        score = np.concatenate(list(scores.values()))
        sides = np.repeat(np.arange(len(SIDES), dtype=np.int8), len(batch))
        return both | {"side": sides, "score": score, "low": low, "high": low}

    return ArrayRows(select, compute)


def _round_by_output(
    scores: Array, outputs: Array | None, rounding: Mapping[int, tuple[int, ScoreGrid]]
) -> Array:
    """Round scores with the grid of their output; `outputs` is None if there is only one."""
    if outputs is None:
        [(digits, grid)] = rounding.values()
        return grid.rounded(scores, digits)
    found = np.empty(len(scores))
    for place in np.unique(outputs):
        digits, grid = rounding[int(place)]
        own = outputs == place
        found[own] = grid.rounded(scores[own], digits)
    return found


def _condense_flips(key: Sequence[str], flips: pa.Table) -> pa.Table:
    """Keep the largest flips of each output and direction."""
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
