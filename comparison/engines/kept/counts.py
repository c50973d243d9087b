"""Counts of the files of a compacted folder: of each file once, and kept.

A file of pairs never changes. So the counts of those that were counted before are kept, as one sum;
new files are counted by DuckDB, all in one statement, and added to it. Where the sum has a file
that is there no longer, all are counted anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from comparison.engines.arrays import BATCH
from comparison.engines.embedded import known, quoted, registered
from comparison.engines.kept.group_changes import Change, exchanged
from comparison.engines.kept.merging import added
from comparison.engines.kept.part_files import PartFile, PartFiles, WindowFiles, columns_of
from comparison.engines.kept.tables import KeptTable, KeptTables
from comparison.engines.mergeable import GroupSums, MergeableCounts, PreparedRows
from comparison.engines.one_pass import counted_in_arrays

_VIEW: Final = "pairs_of_files"

_FEW_BYTES: Final = 2**25
"""Of new files that are read into memory once, for all counts: larger ones, each reads."""

_ENGINE_TYPES: Final = {
    "string": "VARCHAR",
    "float64": "DOUBLE",
    "int64": "BIGINT",
    "boolean": "BOOLEAN",
}

_TAKEN: Final = {"sum": "sum", "least": "min", "largest": "max"}

_COUNTS: Final = "counts_to_sum"

_statements: Final[dict[tuple[object, ...], tuple[str, ibis.Schema]]] = {}
"""The text that counts, or prepares, by what it is and the columns that there are, and what it
returns.

ibis spends tens of milliseconds on each: one serves for all looks of a process.
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Hold what is asked for, and what tells it from others where it is kept."""

    counts: MergeableCounts
    prepared: PreparedRows | None
    window: WindowFiles

    @property
    def key(self) -> str:
        """Return what tells the counts."""
        return f"{self.counts.key}-{self.prepared.key}" if self.prepared else self.counts.key

    @property
    def bounds(self) -> str:
        """Return what tells the window."""
        return f"{self.window.since or ''}-{self.window.until or ''}"

    @property
    def origins(self) -> list[bytes]:
        """Return the origins of all files."""
        return [file.origin for file in self.window.files]


class CountsOfFiles:
    """Count the pairs of some files; the columns are those that their table is to have."""

    def __init__(
        self,
        connection: Backend,
        files: PartFiles,
        columns: ibis.Schema,
        kept: KeptTables,
    ) -> None:
        self._connection = connection
        self._files = files
        self._columns = columns
        self._kept = kept
        self._window: WindowFiles | None = None
        self._there: dict[PartFile, set[str]] = {}
        self._loaded: dict[tuple[PartFile, ...], str | None] = {}
        """Files that are new, by the table that holds their pairs; None: not yet."""
        self._changes: dict[tuple[str, str], Change] = {}
        """What new files have added to counts of which sums were asked for."""
        self._prepared: set[str] = set()
        """Views of what pairs are prepared to, of whichever files."""
        self.counted = 0
        """Files that were counted, each once for each of the counts."""

    def of(
        self,
        counts: MergeableCounts,
        since: int | None,
        until: int | None,
        prepared: PreparedRows | None = None,
    ) -> pa.Table:
        """Return the counts of the pairs of [since, until), nanoseconds since 1970.

        Or of the rows that are prepared from these pairs.
        """
        window = self._files.window(since, until)
        if not counts.is_kept:
            return self._count(counts, prepared, window)
        asked = _Asked(replace(counts, groups=None), prepared, window)
        return self._merged(asked) if counts.groups is None else self._summed(asked, counts.groups)

    def _merged(self, asked: _Asked) -> pa.Table:
        before = self._kept.read(asked.key, asked.bounds, asked.origins)
        if before is None:
            found = self._count(asked.counts, asked.prepared, asked.window)
        else:
            if not before.is_merged:
                before = replace(before, table=self._once(asked.counts, before.table))
            new = self._new(asked, before)
            if new is None:
                return before.table
            counts = asked.counts
            found = counts.condensed(added(before.table, new, counts.by, counts.measures))
        self._kept.write(asked.key, asked.bounds, asked.origins, found)
        return found

    def _summed(self, asked: _Asked, groups: GroupSums) -> pa.Table:
        """Return sums over groups: those kept before, exchanged for the groups with new pairs.

        The counts themselves are kept unmerged: most of them are read for their groups alone.
        """
        key = f"{asked.key}-{groups.key}"
        known = self._kept.read(key, asked.bounds, asked.origins)
        if known is not None and known.origins.issuperset(asked.origins):
            return known.table
        change = self._change(asked)
        if known is None or change.before is None or change.before.origins != known.origins:
            found = self._sum(asked, groups, change.after)
        else:
            less, more = change.of(groups, self._connection)
            less, more = (self._sum(asked, groups, each) for each in (less, more))
            found = exchanged(known.table, less, more, groups)
        self._kept.write(key, asked.bounds, asked.origins, found)
        return found

    def _change(self, asked: _Asked) -> Change:
        """Bring counts up to date, once for all sums of them."""
        place = asked.key, asked.bounds
        if place not in self._changes:
            before = self._kept.read(asked.key, asked.bounds, asked.origins)
            if before is None:
                new = self._count(asked.counts, asked.prepared, asked.window)
            else:
                new = self._new(asked, before)
            self._changes[place] = change = Change(before, new)
            if new is not None:
                once = partial(self._once, asked.counts) if before else None
                self._kept.write(asked.key, asked.bounds, asked.origins, change.after, once)
        return self._changes[place]

    def _new(self, asked: _Asked, before: KeptTable) -> pa.Table | None:
        """Count the files that are new, None if there are none."""
        new = [file for file in asked.window.files if file.origin not in before.origins]
        if not new:
            return None
        if sum(file.size for file in new) <= _FEW_BYTES:
            self._loaded.setdefault(tuple(new), None)
        return self._count(asked.counts, asked.prepared, asked.window.of(new))

    def _once(self, counts: MergeableCounts, table: pa.Table) -> pa.Table:
        """Merge the rows of a table that has several of a combination."""
        with registered(self._connection, several=table):
            found = self._connection.con.execute(_once_of(counts)).to_arrow_table()
        return found.select(table.schema.names).cast(table.schema)

    def _sum(self, asked: _Asked, groups: GroupSums, counts: pa.Table) -> pa.Table:
        schema = ibis.Schema.from_pyarrow(counts.schema)
        text, found = self._compiled(
            (asked.key, groups.key), lambda: groups.of(known(self._connection, _COUNTS, schema))
        )
        with registered(self._connection, **{_COUNTS: counts}):
            return self._connection.con.execute(text).to_arrow_table().cast(found.to_pyarrow())

    def _count(
        self, counts: MergeableCounts, prepared: PreparedRows | None, window: WindowFiles
    ) -> pa.Table:
        self.counted += len(window.files)
        self._show(window)
        view = _VIEW if prepared is None else self._view_of(prepared)

        def statement() -> ir.Table:
            rows = known(self._connection, view, self._schema_of(prepared))
            return counts.arrays.statement(rows) if counts.arrays else counts.of(rows)

        text, schema = self._compiled((counts.key, view), statement)
        found = self._connection.con.execute(text)
        if counts.arrays:
            return counted_in_arrays(counts, found.to_arrow_reader(BATCH))
        return counts.condensed(found.to_arrow_table().cast(schema.to_pyarrow()))

    def _compiled(
        self, key: tuple[str, ...], statement: Callable[[], ir.Table]
    ) -> tuple[str, ibis.Schema]:
        """Return the text of a statement about these columns, and what it returns."""
        if (*key, self._columns) not in _statements:
            rows = statement()
            _statements[*key, self._columns] = self._connection.compile(rows), rows.schema()
        return _statements[*key, self._columns]

    def _view_of(self, prepared: PreparedRows) -> str:
        """Return a view of what the pairs that are shown are prepared to.

        It is computed for each of the counts: a table of ten million pairs takes a gigabyte.
        """
        view = f"prepared_{prepared.key}"
        if view not in self._prepared:
            text, _schema = self._preparation(prepared)
            self._connection.raw_sql(f'CREATE TEMPORARY VIEW "{view}" AS {text}')
            self._prepared.add(view)
        return view

    def _schema_of(self, prepared: PreparedRows | None) -> ibis.Schema:
        return self._columns if prepared is None else self._preparation(prepared)[1]

    def _preparation(self, prepared: PreparedRows) -> tuple[str, ibis.Schema]:
        def statement() -> ir.Table:
            return prepared.rows(known(self._connection, _VIEW, self._columns))

        return self._compiled((prepared.key,), statement)

    def _show(self, window: WindowFiles) -> None:
        """Let the view be that of the pairs of these files, with all columns."""
        if window != self._window:
            is_new = window.files in self._loaded
            text = self._select_loaded(window) if is_new else self._select(window)
            self._connection.raw_sql(f'CREATE OR REPLACE TEMPORARY VIEW "{_VIEW}" AS {text}')
            self._window = window

    def _select_loaded(self, window: WindowFiles) -> str:
        """Select from a table in memory that has all pairs of the files."""
        rows = self._loaded[window.files]
        if rows is None:
            rows = self._loaded[window.files] = f"rows_{uuid4().hex}"
            text = self._select(WindowFiles(window.files, None, None))
            self._connection.raw_sql(f"CREATE TEMPORARY TABLE {rows} AS {text}")
        inside = ["true"]
        inside += [] if window.since is None else [f"time >= {window.since}"]
        inside += [] if window.until is None else [f"time < {window.until}"]
        return f"SELECT * FROM {rows} WHERE {' AND '.join(inside)}"  # noqa: S608 - our own names

    def _select(self, window: WindowFiles) -> str:
        there = {name for file in window.files for name in self._names(file)}
        shown = ", ".join(
            _column(name, str(kind), name in there) for name, kind in self._columns.items()
        )
        if not window.files:
            return f"SELECT {shown} WHERE false"
        paths = ", ".join(_text(str(file.path)) for file in window.files)
        read = f"read_parquet([{paths}], hive_partitioning=true, hive_types_autocast=false"
        inside = ["true"]
        # The first of each two is what spares reading most of a file, the other what is meant.
        if (since := window.since) is not None:
            inside += [f"time >= to_timestamp({since // 10**9})", f"epoch_ns(time) >= {since}"]
        if (until := window.until) is not None:
            inside += [f"time < to_timestamp({-(-until // 10**9)})", f"epoch_ns(time) < {until}"]
        return f"SELECT {shown} FROM {read}, union_by_name=true) WHERE {' AND '.join(inside)}"  # noqa: S608

    def _names(self, file: PartFile) -> set[str]:
        if file not in self._there:
            self._there[file] = columns_of(file)
        return self._there[file]


def _once_of(counts: MergeableCounts) -> str:
    """Write the statement that merges rows of `several`."""
    by, measures = ([quoted(name) for name in names] for names in (counts.by, counts.measures))
    taken = [
        f"{_TAKEN[how]}({name}) AS {name}"
        for name, how in zip(measures, counts.measures.values(), strict=True)
    ]
    return f"SELECT {', '.join([*by, *taken])} FROM several GROUP BY ALL"  # noqa: S608 - our own names


def _column(name: str, kind: str, is_there: bool) -> str:
    column = quoted(name)
    if not is_there:
        return f"CAST(NULL AS {_ENGINE_TYPES[kind]}) AS {column}"
    return f"epoch_ns({column}) AS time" if name == "time" else column


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
