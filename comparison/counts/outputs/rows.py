"""Outputs as rows: one statement counts all outputs, and its result is split by output.

The time that ibis takes for a statement depends on its length and hardly on the pairs, so with a
statement for each output, ten outputs would take ten times as long.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from comparison.counts.labels.joined import GIVEN
from comparison.counts.outputs.columns import SEGMENT
from comparison.engines.arrays import ArrayRows
from comparison.engines.grouping import Dtypes, booleans_as_integers, count_by, fetched, framed
from comparison.engines.mergeable import COUNT, GroupSums, MergeableCounts
from comparison.engines.one_pass import counted_once
from comparison.pairs.sides import SIDES

OUTPUT: Final = "output"
"""The column with the place of an output; it is left out if only one output is counted."""


_SHARED: Final = (
    "request_id",
    "time",
    "served",
    "unit",
    "skipped",
    "first_of_request",
    "old",
)

IS_DECIDED: Final = ibis._.primary_alarm.notnull() & ibis._.candidate_alarm.notnull()
"""Condition that both decisions of a row are known."""


def union_of(tables: Sequence[ir.Table]) -> ir.Table:
    """Union tables as a balanced tree: engines limit the depth of a statement."""
    if len(tables) == 1:
        return tables[0]
    half = len(tables) // 2
    return union_of(tables[:half]).union(union_of(tables[half:]))


@dataclass(frozen=True, slots=True)
class ByOutput:
    """Several outputs that one statement counts; `places` are in order and not empty."""

    places: tuple[int, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Return the columns that identify an output: none if there is only one."""
        return (OUTPUT,) if len(self.places) > 1 else ()

    def tag(self, place: int) -> dict[str, Any]:
        """Return the column `OUTPUT` of an output's rows, if there are several outputs."""
        return dict.fromkeys(self.key, ibis.literal(place, "int16"))

    def union(self, rows: Callable[[int], ir.Table]) -> ir.Table:
        """Union the rows of all outputs; `rows` returns those of one, with its `tag`."""
        return union_of([rows(place) for place in self.places])

    def filtered(self, rows: ir.Table) -> list[ir.Table]:
        """Filter the rows of each output."""
        if not self.key:
            return [rows]
        return [rows.filter(ibis._[OUTPUT] == place) for place in self.places]

    def count(self, rows: ir.Table, dtypes: Dtypes, **by: Any) -> dict[int, pd.DataFrame]:
        """Count rows by the columns of `dtypes`; `by` has expressions for some of them."""
        columns = {name: by.get(name, ibis._[name]) for name in (*self.key, *dtypes)}
        return self.fetched(count_by(rows, **columns), dtypes)

    def fetched(self, counts: ir.Table, dtypes: Dtypes) -> dict[int, pd.DataFrame]:
        """Run a query of counts as `grouping.fetched`, and split the result by output."""
        return self.split(fetched(counts, self.keyed(dtypes)))

    def framed(self, rows: ir.Table, dtypes: Dtypes) -> dict[int, pd.DataFrame]:
        """Run a query as `grouping.framed`, and split the result by output."""
        return self.split(framed(rows, self.keyed(dtypes)))

    def variance_ratios(self, units: ir.Table) -> dict[int, float]:
        """Return for each output the sum of squared `total` over the sum of `own` of `units`.

        It is 1 if the sum of `own` is 0.
        """
        sums = {"between": (ibis._.total * ibis._.total).sum(), "within": ibis._.own.sum()}
        return self.ratios(units.group_by(self.key).agg(**sums) if self.key else units.agg(**sums))

    def ratios(self, sums: ir.Table) -> dict[int, float]:
        """Return for each output `between` over `within`, 1 if `within` is 0."""
        tables = self.framed(sums, dict.fromkeys(("between", "within"), "float64"))
        return {
            place: float(table["between"].iloc[0] / table["within"].iloc[0])
            if table["within"].sum()
            else 1.0
            for place, table in tables.items()
        }

    def keyed(self, dtypes: Dtypes) -> dict[str, str]:
        """Add the column `OUTPUT`, if there are several outputs."""
        return {**dict.fromkeys(self.key, "int64"), **dtypes}

    def split(self, frame: pd.DataFrame) -> dict[int, pd.DataFrame]:
        """Split a frame by output."""
        if not self.key:
            return {self.places[0]: frame}
        found = frame[OUTPUT].to_numpy()
        others = frame.drop(columns=OUTPUT)
        return {
            place: others.iloc[np.flatnonzero(found == place)].reset_index(drop=True)
            for place in self.places
        }


@dataclass(frozen=True, slots=True)
class OutputRows:
    """One row for each pair and output; `labelled` has the places of outputs with labels.

    `table` has the columns of prepared pairs that do not depend on the output, and

        output                          the place of the output, if there are several
        primary_score, candidate_score  missing unless both are known
        primary_alarm, candidate_alarm  the decision of a side, even if the other side has none
        given                           the label of the request for this output
    """

    outputs: ByOutput
    table: ir.Table
    labelled: tuple[int, ...]
    counted: Callable[[MergeableCounts], ir.Table] | None = None
    """Counts these rows if counts are kept; `table` then serves only for its columns."""
    majority: "MajorityRows | None" = None
    """The rows with the majority label, if `table` lacks them."""

    @classmethod
    def of(cls, pairs: ir.Table, size: int, labels: Mapping[int, str]) -> "OutputRows":
        """Turn prepared pairs, whose columns of outputs are numbered by place, into rows."""
        by_output = ByOutput(tuple(range(size)))
        shared = [name for name in pairs.columns if name in _SHARED or name.startswith(SEGMENT)]

        def rows(place: int) -> ir.Table:
            label = f"{GIVEN}{labels[place]}" if place in labels else None
            return pairs.select(
                *shared,
                **by_output.tag(place),
                **{f"{side}_score": pairs[f"{side}_score{place}"] for side in SIDES},
                **{f"{side}_alarm": pairs[f"{side}_decision{place}"] for side in SIDES},
                given=ibis.null("boolean") if label is None else pairs[label],
            )

        return cls(by_output, by_output.union(rows), tuple(labels))

    def count(
        self,
        name: str,
        rows: Callable[["OutputRows"], ir.Table],
        by: Sequence[str],
        measures: Mapping[str, str] = COUNT,
        parameters: tuple[object, ...] = (),
        condense: Callable[[pa.Table], pa.Table] | None = None,
        arrays: ArrayRows["OutputRows"] | None = None,
        groups: GroupSums | None = None,
    ) -> ir.Table:
        """Count the rows that `rows` makes of these, by output and the columns `by`.

        See `MergeableCounts`. If `table` lacks the rows with the majority label, their counts are
        the counts of all rows minus those of `table`; their bounds `low` and `high` are then those
        of all labels.
        """
        if self.majority is not None:
            asked = partial(
                OutputRows.count, name=name, rows=rows, by=by, measures=measures, arrays=arrays
            )
            return self.majority.counts_with(self, partial(asked, parameters=parameters))

        def restricted(table: ir.Table) -> OutputRows:
            return replace(self, table=self._own(table))

        counts = MergeableCounts(
            name,
            lambda table: rows(restricted(table)),
            (*self.outputs.key, *by),
            measures,
            (self.outputs.places, self.labelled, *parameters),
            condense=condense,
            arrays=arrays and arrays.after(restricted),
            groups=groups,
        )
        return counted_once(counts, self.table) if self.counted is None else self.counted(counts)

    def _own(self, table: ir.Table) -> ir.Table:
        """Keep the rows of these outputs, if kept counts have more."""
        if self.counted is not None and OUTPUT in table.columns:
            return table.filter(ibis._[OUTPUT].isin(self.outputs.places))
        return table

    @property
    def decided(self) -> ir.Table:
        """Return the rows with both decisions."""
        return self.table.filter(IS_DECIDED)

    @property
    def scored(self) -> ir.Table:
        """Return the rows with both scores."""
        return self.table.filter(ibis._.primary_score.notnull())

    @property
    def label(self) -> Any:
        """Return the label of a row if it counts: if the pair is old enough for a label."""
        return ibis.ifelse(ibis._.old, ibis._.given, None) if self.labelled else ibis._.given

    def of_outputs(self, places: Sequence[int]) -> "OutputRows":
        """Keep only these outputs, at least one."""
        if len(places) == len(self.outputs.places):
            return self
        held = self.table.filter(ibis._[OUTPUT].isin(places))
        labelled = tuple(place for place in self.labelled if place in places)
        majority = self.majority and self.majority.of_outputs(places)
        return OutputRows(ByOutput(tuple(places)), held, labelled, self.counted, majority)

    @property
    def unlabelled(self) -> "OutputRows":
        """Return all rows without labels, for counts that do not depend on labels."""
        return self if self.majority is None else self.majority.all_rows

    @property
    def positive(self) -> "OutputRows":
        """Return rows with all positive labels: the majority label is never positive."""
        return replace(self, majority=None)


@dataclass(frozen=True, slots=True)
class MajorityRows:
    """The rows with the majority label, which are counted without joining their labels.

    `all_rows` has all rows, without labels; `labels` has the majority label by place of an output.
    """

    all_rows: OutputRows
    labels: Mapping[int, bool | None]
    labels_of: Callable[[Sequence[str | None]], Mapping[int, Sequence[bool | None]]]
    """Returns the labels of requests, by the place of an output."""

    def of_outputs(self, places: Sequence[int]) -> "MajorityRows":
        """Keep only these outputs."""
        labels = {place: self.labels[place] for place in places}
        return replace(self, all_rows=self.all_rows.of_outputs(places), labels=labels)

    def counts_with(
        self, labelled: OutputRows, count: Callable[[OutputRows], ir.Table]
    ) -> ir.Table:
        """Return the counts of `labelled` rows plus those of all others, with the majority label.

        So `count` must not filter rows by their label, nor by whether it counts.
        """
        own = booleans_as_integers(count(replace(labelled, majority=None))).to_pyarrow()
        unlabelled = self._with_majority_label(
            booleans_as_integers(count(self.all_rows)).to_pyarrow(), own.schema
        )
        less = self._with_majority_label(own, own.schema)
        less = less.set_column(less.schema.get_field_index("n"), "n", pc.negate(less["n"]))
        table = ibis.memtable(pa.concat_tables([own, unlabelled, less]))
        bounds = {"low": ibis._.low.min, "high": ibis._.high.max}
        taken = {name: bound() for name, bound in bounds.items() if name in table.columns}
        by = [name for name in table.columns if name not in ("n", *taken)]
        found = table.group_by(by).agg(n=ibis._.n.sum().cast("int64"), **taken)
        return found.filter(ibis._.n > 0)

    def _with_majority_label(self, counts: pa.Table, schema: pa.Schema) -> pa.Table:
        """Set the label of counts to the majority label of their output; the label counts."""
        values = [self.labels.get(place) for place in range(max(self.labels) + 1)]
        majority = pa.array([None if each is None else int(each) for each in values], pa.int8())
        [only, *_others] = self.all_rows.outputs.places
        places = counts[OUTPUT] if OUTPUT in counts.column_names else pa.repeat(only, len(counts))
        counting = dict.fromkeys(("first", "old"), pa.repeat(pa.scalar(1, pa.int8()), len(counts)))
        for name, values in {"label": majority.take(places), **counting}.items():
            if name in counts.column_names:
                place = counts.schema.get_field_index(name)
                counts = counts.set_column(place, name, values)
        return counts.select(schema.names).cast(schema)
