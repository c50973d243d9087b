"""Count each file of a compacted folder once, and keep the counts.

A file of pairs never changes. So the counts of all known files are kept, merged into one table. New
files are counted by DuckDB, all in one statement, and merged into it. If a file of the kept counts
no longer exists, all files are counted anew.
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
from comparison.engines.embedded import quoted, registered, table_reference
from comparison.engines.kept.group_changes import Change, replace_groups
from comparison.engines.kept.merging import add_counts
from comparison.engines.kept.part_files import PartFile, PartFiles, WindowFiles, column_names
from comparison.engines.kept.tables import KeptTable, KeptTables
from comparison.engines.mergeable import GroupSums, MergeableCounts, PreparedRows
from comparison.engines.one_pass import counted_in_arrays

_VIEW: Final = "pairs_of_files"

_MAX_IN_MEMORY_BYTES: Final = 2**25
"""New files up to this size are read into memory once for all counts; larger ones are read by each
count."""

_ENGINE_TYPES: Final = {
    "string": "VARCHAR",
    "float64": "DOUBLE",
    "int64": "BIGINT",
    "boolean": "BOOLEAN",
}

_SQL_AGGREGATES: Final = {"sum": "sum", "least": "min", "largest": "max"}

_COUNTS: Final = "counts_to_sum"

_statements: Final[dict[tuple[object, ...], tuple[str, ibis.Schema]]] = {}
"""Compiled statements by their key and the columns of the pairs: the SQL text and its schema.

ibis needs tens of milliseconds to compile one, so a process compiles each only once.
"""


@dataclass(frozen=True, slots=True)
class _Request:
    """The counts, rows and window that are requested, and the keys under which they are kept."""

    counts: MergeableCounts
    prepared: PreparedRows | None
    window: WindowFiles

    @property
    def key(self) -> str:
        """Return the key of counts and prepared rows."""
        return f"{self.counts.key}-{self.prepared.key}" if self.prepared else self.counts.key

    @property
    def bounds(self) -> str:
        """Return the key of the window."""
        return f"{self.window.since or ''}-{self.window.until or ''}"

    @property
    def origins(self) -> list[bytes]:
        """Return the origins of all files of the window."""
        return [file.origin for file in self.window.files]


class CountsOfFiles:
    """Count the pairs of files; a file may lack some of the `columns` of the table of pairs."""

    def __init__(
        self,
        connection: Backend,
        files: PartFiles,
        columns: ibis.Schema,
        tables: KeptTables,
    ) -> None:
        self._connection = connection
        self._files = files
        self._columns = columns
        self._tables = tables
        self._window: WindowFiles | None = None
        self._names_of_file: dict[PartFile, set[str]] = {}
        self._loaded: dict[tuple[PartFile, ...], str | None] = {}
        """The in-memory table of each set of new files; None until the files are read."""
        self._changes: dict[tuple[str, str], Change] = {}
        """What new files added, for counts whose sums over groups were requested."""
        self._prepared: set[str] = set()
        """Names of the views of prepared rows that exist."""
        self.counted = 0
        """Number of files that were counted; a file counts once for each `MergeableCounts`."""

    def of(
        self,
        counts: MergeableCounts,
        since: int | None,
        until: int | None,
        prepared: PreparedRows | None = None,
    ) -> pa.Table:
        """Return the counts of the pairs of [since, until), nanoseconds since 1970.

        With `prepared`, count the rows that it makes of these pairs.
        """
        window = self._files.window(since, until)
        if not counts.is_kept:
            return self._count(counts, prepared, window)
        request = _Request(replace(counts, groups=None), prepared, window)
        return (
            self._merged(request) if counts.groups is None else self._summed(request, counts.groups)
        )

    def _merged(self, request: _Request) -> pa.Table:
        before = self._tables.read(request.key, request.bounds, request.origins)
        if before is None:
            found = self._count(request.counts, request.prepared, request.window)
        else:
            if not before.is_merged:
                before = replace(before, table=self._merge_rows(request.counts, before.table))
            new = self._new(request, before)
            if new is None:
                return before.table
            counts = request.counts
            found = counts.condensed(add_counts(before.table, new, counts.by, counts.measures))
        self._tables.write(request.key, request.bounds, request.origins, found)
        return found

    def _summed(self, request: _Request, groups: GroupSums) -> pa.Table:
        """Return sums over groups: kept sums, corrected for the groups with new pairs.

        The counts themselves are kept unmerged: mostly, only a few groups are read from them.
        """
        key = f"{request.key}-{groups.key}"
        known = self._tables.read(key, request.bounds, request.origins)
        if known is not None and known.origins.issuperset(request.origins):
            return known.table
        change = self._change(request)
        if known is None or change.before is None or change.before.origins != known.origins:
            found = self._sum(request, groups, change.after)
        else:
            less, more = change.of_groups(groups, self._connection)
            less, more = (self._sum(request, groups, each) for each in (less, more))
            found = replace_groups(known.table, less, more, groups)
        self._tables.write(key, request.bounds, request.origins, found)
        return found

    def _change(self, request: _Request) -> Change:
        """Count the new files and keep the result, once for all sums of the same counts."""
        place = request.key, request.bounds
        if place not in self._changes:
            before = self._tables.read(request.key, request.bounds, request.origins)
            if before is None:
                new = self._count(request.counts, request.prepared, request.window)
            else:
                new = self._new(request, before)
            self._changes[place] = change = Change(before, new)
            if new is not None:
                once = partial(self._merge_rows, request.counts) if before else None
                self._tables.write(request.key, request.bounds, request.origins, change.after, once)
        return self._changes[place]

    def _new(self, request: _Request, before: KeptTable) -> pa.Table | None:
        """Count the files that are not in `before`; None if there are none."""
        new = [file for file in request.window.files if file.origin not in before.origins]
        if not new:
            return None
        if sum(file.size for file in new) <= _MAX_IN_MEMORY_BYTES:
            self._loaded.setdefault(tuple(new), None)
        return self._count(request.counts, request.prepared, request.window.of(new))

    def _merge_rows(self, counts: MergeableCounts, table: pa.Table) -> pa.Table:
        """Merge the rows of a table in which a combination may have several rows."""
        with registered(self._connection, several=table):
            found = self._connection.con.execute(_merge_sql(counts)).to_arrow_table()
        return found.select(table.schema.names).cast(table.schema)

    def _sum(self, request: _Request, groups: GroupSums, counts: pa.Table) -> pa.Table:
        schema = ibis.Schema.from_pyarrow(counts.schema)
        text, found = self._compiled(
            (request.key, groups.key),
            lambda: groups.statement(table_reference(self._connection, _COUNTS, schema)),
        )
        with registered(self._connection, **{_COUNTS: counts}):
            return self._connection.con.execute(text).to_arrow_table().cast(found.to_pyarrow())

    def _count(
        self, counts: MergeableCounts, prepared: PreparedRows | None, window: WindowFiles
    ) -> pa.Table:
        self.counted += len(window.files)
        self._point_view_at(window)
        view = _VIEW if prepared is None else self._view_of(prepared)

        def statement() -> ir.Table:
            rows = table_reference(self._connection, view, self._schema_of(prepared))
            return counts.arrays.statement(rows) if counts.arrays else counts.statement(rows)

        text, schema = self._compiled((counts.key, view), statement)
        found = self._connection.con.execute(text)
        if counts.arrays:
            return counted_in_arrays(counts, found.to_arrow_reader(BATCH))
        return counts.condensed(found.to_arrow_table().cast(schema.to_pyarrow()))

    def _compiled(
        self, key: tuple[str, ...], statement: Callable[[], ir.Table]
    ) -> tuple[str, ibis.Schema]:
        """Return the SQL of a statement about these columns, and its schema."""
        if (*key, self._columns) not in _statements:
            rows = statement()
            _statements[*key, self._columns] = self._connection.compile(rows), rows.schema()
        return _statements[*key, self._columns]

    def _view_of(self, prepared: PreparedRows) -> str:
        """Return the name of a view of the rows that are prepared from the current pairs.

        Each count computes it anew: as a table, ten million pairs would take a gigabyte.
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
            return prepared.rows(table_reference(self._connection, _VIEW, self._columns))

        return self._compiled((prepared.key,), statement)

    def _point_view_at(self, window: WindowFiles) -> None:
        """Point the view `_VIEW` at the pairs of these files, with all columns."""
        if window != self._window:
            is_new = window.files in self._loaded
            text = self._select_loaded(window) if is_new else self._select(window)
            self._connection.raw_sql(f'CREATE OR REPLACE TEMPORARY VIEW "{_VIEW}" AS {text}')
            self._window = window

    def _select_loaded(self, window: WindowFiles) -> str:
        """Select from an in-memory table with all pairs of the files; read them at first use."""
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
        # The first condition of each pair lets DuckDB skip most of a file, the second is exact.
        if (since := window.since) is not None:
            inside += [f"time >= to_timestamp({since // 10**9})", f"epoch_ns(time) >= {since}"]
        if (until := window.until) is not None:
            inside += [f"time < to_timestamp({-(-until // 10**9)})", f"epoch_ns(time) < {until}"]
        return f"SELECT {shown} FROM {read}, union_by_name=true) WHERE {' AND '.join(inside)}"  # noqa: S608

    def _names(self, file: PartFile) -> set[str]:
        if file not in self._names_of_file:
            self._names_of_file[file] = column_names(file)
        return self._names_of_file[file]


def _merge_sql(counts: MergeableCounts) -> str:
    """Write the SQL that merges the rows of the table `several`."""
    by, measures = ([quoted(name) for name in names] for names in (counts.by, counts.measures))
    taken = [
        f"{_SQL_AGGREGATES[how]}({name}) AS {name}"
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
