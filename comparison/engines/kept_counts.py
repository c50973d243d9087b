"""Counts of the files of a compacted folder: of each file once, and kept.

A file of pairs never changes. So the counts of those that were counted before are kept, as one sum;
new files are counted by DuckDB, all in one statement, and added to it. Where the sum has a file
that is there no longer, all are counted anew.
"""

from typing import Final
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from comparison.engines.arrays import BATCH
from comparison.engines.embedded import known, quoted
from comparison.engines.kept import KeptTables
from comparison.engines.mergeable import MergeableCounts, PreparedRows
from comparison.engines.one_pass import counted_in_arrays
from comparison.engines.part_files import PartFile, PartFiles, WindowFiles, columns_of

_VIEW: Final = "pairs_of_files"

_FEW_BYTES: Final = 2**25
"""Of new files that are read into memory once, for all counts: larger ones, each reads."""

_ENGINE_TYPES: Final = {
    "string": "VARCHAR",
    "float64": "DOUBLE",
    "int64": "BIGINT",
    "boolean": "BOOLEAN",
}

_ADDED: Final = {
    "sum": "coalesce(before.{0} + new.{0}, before.{0}, new.{0})",
    "least": "least(before.{0}, new.{0})",
    "largest": "greatest(before.{0}, new.{0})",
}
"""How a measure of two parts is taken together; what a part lacks is missing there."""

_statements: Final[dict[tuple[object, ...], tuple[str, pa.Schema]]] = {}
"""The text that counts, by what is counted and the columns that there are, and what it returns.

ibis spends tens of milliseconds on each: one serves for all looks of a process.
"""


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
        key = f"{counts.key}-{prepared.key}" if prepared else counts.key
        bounds = f"{window.since or ''}-{window.until or ''}"
        origins = [file.origin for file in window.files]
        before = self._kept.read(key, bounds, origins)
        if before is None:
            found = self._count(counts, prepared, window)
        else:
            new = [file for file in window.files if file.origin not in before.origins]
            if not new:
                return before.table
            if sum(file.size for file in new) <= _FEW_BYTES:
                self._loaded.setdefault(tuple(new), None)
            found = self._count(counts, prepared, window.of(new))
            found = self._merged(counts, before.table, found)
        self._kept.write(key, bounds, origins, found)
        return found

    def _merged(self, counts: MergeableCounts, before: pa.Table, new: pa.Table) -> pa.Table:
        """Add up counts, by the engine: Arrow's own grouping is slow where numbers end in zeros."""
        connection = self._connection.con
        connection.register("before", before)
        connection.register("new", new)
        found = connection.execute(_sum_of(counts)).to_arrow_table()
        connection.unregister("before")
        connection.unregister("new")
        found = found.select(before.schema.names).cast(before.schema)
        return counts.condensed(found)

    def _count(
        self, counts: MergeableCounts, prepared: PreparedRows | None, window: WindowFiles
    ) -> pa.Table:
        self.counted += len(window.files)
        rows = self._shown(window) if prepared is None else self._prepared(prepared, window)
        key = counts.key, rows.get_name(), self._columns
        if key not in _statements:
            statement = counts.arrays.statement(rows) if counts.arrays else counts.of(rows)
            _statements[key] = self._connection.compile(statement), statement.schema().to_pyarrow()
        text, schema = _statements[key]
        found = self._connection.con.execute(text)
        if counts.arrays:
            return counted_in_arrays(self._connection, counts, found.to_arrow_reader(BATCH))
        return counts.condensed(found.to_arrow_table().cast(schema))

    def _prepared(self, prepared: PreparedRows, window: WindowFiles) -> ir.Table:
        """Return a view of what the pairs are prepared to.

        It is computed for each of the counts: a table of ten million pairs takes a gigabyte.
        """
        rows, view = prepared.rows(self._shown(window)), f"prepared_{prepared.key}"
        text = self._connection.compile(rows)
        self._connection.raw_sql(f'CREATE OR REPLACE TEMPORARY VIEW "{view}" AS {text}')
        return known(self._connection, view, rows.schema())

    def _shown(self, window: WindowFiles) -> ir.Table:
        """Return a view of the pairs of these files, with all columns."""
        if window != self._window:
            is_new = window.files in self._loaded
            text = self._select_loaded(window) if is_new else self._select(window)
            self._connection.raw_sql(f'CREATE OR REPLACE TEMPORARY VIEW "{_VIEW}" AS {text}')
            self._window = window
        return known(self._connection, _VIEW, self._columns)

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


def _sum_of(counts: MergeableCounts) -> str:
    """Write the statement that adds `new` to `before`, both of which have each row once.

    A few rows are looked up in many: to group all of them takes four times as long.
    """
    by, measures = ([quoted(name) for name in names] for names in (counts.by, counts.measures))
    added = [
        f"{_ADDED[how].format(name)} AS {name}"
        for name, how in zip(measures, counts.measures.values(), strict=True)
    ]
    columns = ", ".join([*(f"before.{name} AS {name}" for name in by), *added])
    if not by:
        return f"SELECT {columns} FROM before, new"  # noqa: S608 - our own names
    alike = " AND ".join(f"before.{name} IS NOT DISTINCT FROM new.{name}" for name in by)
    return (
        f"SELECT {columns} FROM before LEFT JOIN new ON {alike} "  # noqa: S608 - our own names
        f"UNION ALL SELECT {', '.join([*by, *measures])} FROM new ANTI JOIN before ON {alike}"
    )


def _column(name: str, kind: str, is_there: bool) -> str:
    column = quoted(name)
    if not is_there:
        return f"CAST(NULL AS {_ENGINE_TYPES[kind]}) AS {column}"
    return f"epoch_ns({column}) AS time" if name == "time" else column


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
