"""Outputs as rows: one statement counts all of them, and its result is split by output.

What a statement costs in ibis follows from its length and hardly from the pairs, so that a
statement of each output would make ten outputs ten times as dear.
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
"""The column with the place of an output; there is none where only one output is asked for."""


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
"""Says of a row that both decisions are known."""


def union_of(tables: Sequence[ir.Table]) -> ir.Table:
    """Put tables below each other, as a balanced tree: engines limit how deep a statement is."""
    if len(tables) == 1:
        return tables[0]
    half = len(tables) // 2
    return union_of(tables[:half]).union(union_of(tables[half:]))


@dataclass(frozen=True, slots=True)
class ByOutput:
    """Ask about several outputs at once; `places` are theirs, in order, and not none."""

    places: tuple[int, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """Return the names of the columns that tell outputs apart."""
        return (OUTPUT,) if len(self.places) > 1 else ()

    def tag(self, place: int) -> dict[str, Any]:
        """Return the column that tells the rows of an output apart, if there are several."""
        return dict.fromkeys(self.key, ibis.literal(place, "int16"))

    def union(self, rows: Callable[[int], ir.Table]) -> ir.Table:
        """Put the rows of each output below each other; they have its `tag`."""
        return union_of([rows(place) for place in self.places])

    def parted(self, rows: ir.Table) -> list[ir.Table]:
        """Return the rows of each output."""
        if not self.key:
            return [rows]
        return [rows.filter(ibis._[OUTPUT] == place) for place in self.places]

    def count(self, rows: ir.Table, dtypes: Dtypes, **by: Any) -> dict[int, pd.DataFrame]:
        """Count rows by the columns of `dtypes`, each of its own name unless `by` says how."""
        columns = {name: by.get(name, ibis._[name]) for name in (*self.key, *dtypes)}
        return self.fetched(count_by(rows, **columns), dtypes)

    def fetched(self, counts: ir.Table, dtypes: Dtypes) -> dict[int, pd.DataFrame]:
        """Run a query of counts, as `grouping.fetched`, for each output."""
        return self.split(fetched(counts, self.keyed(dtypes)))

    def framed(self, rows: ir.Table, dtypes: Dtypes) -> dict[int, pd.DataFrame]:
        """Run a query, as `grouping.framed`, for each output."""
        return self.split(framed(rows, self.keyed(dtypes)))

    def variance_ratios(self, units: ir.Table) -> dict[int, float]:
        """Return, of `units` with `total` and `own`, the sum of squares over that of `own`.

        It is 1 where the latter is none.
        """
        sums = {"between": (ibis._.total * ibis._.total).sum(), "within": ibis._.own.sum()}
        return self.ratios(units.group_by(self.key).agg(**sums) if self.key else units.agg(**sums))

    def ratios(self, sums: ir.Table) -> dict[int, float]:
        """Return `between` over `within`, 1 where that is none."""
        tables = self.framed(sums, dict.fromkeys(("between", "within"), "float64"))
        return {
            place: float(table["between"].iloc[0] / table["within"].iloc[0])
            if table["within"].sum()
            else 1.0
            for place, table in tables.items()
        }

    def keyed(self, dtypes: Dtypes) -> dict[str, str]:
        """Add the column that tells outputs apart, if there are several."""
        return {**dict.fromkeys(self.key, "int64"), **dtypes}

    def split(self, frame: pd.DataFrame) -> dict[int, pd.DataFrame]:
        """Return the rows of each output."""
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
    """Hold one row for each pair and output; `labelled` are the outputs that labels are about.

    `table` has of prepared pairs what does not depend on the output, and

        output                          the place of the output, if there are several
        primary_score, candidate_score  missing unless both are known
        primary_alarm, candidate_alarm  the decision of a side, whatever became of the other
        given                           the label of the request that is about the output
    """

    every: ByOutput
    table: ir.Table
    labelled: tuple[int, ...]
    counted: Callable[[MergeableCounts], ir.Table] | None = None
    """Counts such rows where counts are kept; `table` then only says which columns they have."""
    usual: "UsualRows | None" = None
    """Where `table` has not the rows that have the label of nearly all."""

    @classmethod
    def of(cls, pairs: ir.Table, outputs: int, labels: Mapping[int, str]) -> "OutputRows":
        """Read the outputs of pairs, which has the columns of each numbered by its place."""
        every = ByOutput(tuple(range(outputs)))
        shared = [name for name in pairs.columns if name in _SHARED or name.startswith(SEGMENT)]

        def rows(place: int) -> ir.Table:
            label = f"{GIVEN}{labels[place]}" if place in labels else None
            return pairs.select(
                *shared,
                **every.tag(place),
                **{f"{side}_score": pairs[f"{side}_score{place}"] for side in SIDES},
                **{f"{side}_alarm": pairs[f"{side}_said{place}"] for side in SIDES},
                given=ibis.null("boolean") if label is None else pairs[label],
            )

        return cls(every, every.union(rows), tuple(labels))

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
        """Count by the output and columns `by` what `rows` makes of these rows, or of a block's.

        See `MergeableCounts`. Where the rows with the usual label are left out, they are those that
        the counts of all rows have besides; their least and largest are then those of all labels.
        """
        if self.usual is not None:
            asked = partial(
                OutputRows.count, name=name, rows=rows, by=by, measures=measures, arrays=arrays
            )
            return self.usual.added(self, partial(asked, parameters=parameters))

        def own(table: ir.Table) -> OutputRows:
            return replace(self, table=self._own(table))

        counts = MergeableCounts(
            name,
            lambda table: rows(own(table)),
            (*self.every.key, *by),
            measures,
            (self.every.places, self.labelled, *parameters),
            condense=condense,
            arrays=arrays and arrays.after(own),
            groups=groups,
        )
        return counted_once(counts, self.table) if self.counted is None else self.counted(counts)

    def _own(self, table: ir.Table) -> ir.Table:
        """Keep the rows of these outputs."""
        if self.counted is not None and OUTPUT in table.columns:
            return table.filter(ibis._[OUTPUT].isin(self.every.places))
        return table

    @property
    def decided(self) -> ir.Table:
        """Return the rows of which both decisions are known."""
        return self.table.filter(IS_DECIDED)

    @property
    def scored(self) -> ir.Table:
        """Return the rows of which both scores are known."""
        return self.table.filter(ibis._.primary_score.notnull())

    @property
    def label(self) -> Any:
        """Return the label of a row where it counts: the pair is old enough for one."""
        return ibis.ifelse(ibis._.old, ibis._.given, None) if self.labelled else ibis._.given

    def among(self, places: Sequence[int]) -> "OutputRows":
        """Keep some of the outputs, one at least."""
        if len(places) == len(self.every.places):
            return self
        held = self.table.filter(ibis._[OUTPUT].isin(places))
        labelled = tuple(place for place in self.labelled if place in places)
        usual = self.usual and self.usual.among(places)
        return OutputRows(ByOutput(tuple(places)), held, labelled, self.counted, usual)

    @property
    def unlabelled(self) -> "OutputRows":
        """Return all rows, for counts that do not depend on labels."""
        return self if self.usual is None else self.usual.every

    @property
    def positive(self) -> "OutputRows":
        """Return the rows among which all are that have a positive label."""
        return replace(self, usual=None)


@dataclass(frozen=True, slots=True)
class UsualRows:
    """Know the rows of pairs with the label of nearly all: those that count and are not held.

    `every` has all rows, without labels; `labels` are the usual ones by the place of an output.
    """

    every: OutputRows
    labels: Mapping[int, bool | None]
    labels_of: Callable[[Sequence[str | None]], Mapping[int, Sequence[bool | None]]]
    """Returns the labels of some requests, by the place of an output."""

    def among(self, places: Sequence[int]) -> "UsualRows":
        """Keep some of the outputs."""
        labels = {place: self.labels[place] for place in places}
        return replace(self, every=self.every.among(places), labels=labels)

    def added(self, labelled: OutputRows, count: Callable[[OutputRows], ir.Table]) -> ir.Table:
        """Return the counts of held rows with labels, and of all others, with the usual one.

        So what is counted must not leave rows out by their label, nor by whether it counts.
        """
        own = booleans_as_integers(count(replace(labelled, usual=None))).to_pyarrow()
        every = self._as_usual(booleans_as_integers(count(self.every)).to_pyarrow(), own.schema)
        less = self._as_usual(own, own.schema)
        less = less.set_column(less.schema.get_field_index("n"), "n", pc.negate(less["n"]))
        table = ibis.memtable(pa.concat_tables([own, every, less]))
        bounds = {"low": ibis._.low.min, "high": ibis._.high.max}
        taken = {name: bound() for name, bound in bounds.items() if name in table.columns}
        by = [name for name in table.columns if name not in ("n", *taken)]
        found = table.group_by(by).agg(n=ibis._.n.sum().cast("int64"), **taken)
        return found.filter(ibis._.n > 0)

    def _as_usual(self, counts: pa.Table, schema: pa.Schema) -> pa.Table:
        """Give counts the label of their output, which counts."""
        values = [self.labels.get(place) for place in range(max(self.labels) + 1)]
        usual = pa.array([None if each is None else int(each) for each in values], pa.int8())
        [only, *_others] = self.every.every.places
        places = counts[OUTPUT] if OUTPUT in counts.column_names else pa.repeat(only, len(counts))
        counting = dict.fromkeys(("first", "old"), pa.repeat(pa.scalar(1, pa.int8()), len(counts)))
        for name, values in {"label": usual.take(places), **counting}.items():
            if name in counts.column_names:
                place = counts.schema.get_field_index(name)
                counts = counts.set_column(place, name, values)
        return counts.select(schema.names).cast(schema)
