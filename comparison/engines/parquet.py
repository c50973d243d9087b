"""The pairs of a compacted folder, read by DuckDB in a bounded amount of memory."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis import _
from ibis.backends.duckdb import Backend

from comparison.engines.embedded import connect, create_view, materialize, register_table
from comparison.engines.kept.counts import CountsOfFiles
from comparison.engines.kept.memory import KeptMemory, RememberedTables
from comparison.engines.kept.part_files import PartFiles
from comparison.engines.kept.tables import KEPT, KeptTables, PlaceTables
from comparison.engines.mergeable import MergeableCounts, PreparedRows
from comparison.engines.one_pass import counted_once
from comparison.engines.store_files import readable
from comparison.engines.tables import completed, in_nanoseconds, in_window, nanoseconds
from comparison.engines.worker_numbers import account_source
from comparison.pairs.accounting import Accounting
from comparison.pairs.arrow import arrow_type
from comparison.pairs.columns import ATTRIBUTE_COLUMNS, SPAN_COLUMNS, holds_text, output_columns
from comparison.pairs.compacted import (
    counts_of,
    pair_parts,
    read_state,
    repeated_pairs,
)
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.stores.folders import StorePath
from comparison.pairs.tracked import TrackedOutcomes


class ParquetPairs:
    """The pairs that `compact` wrote to a folder."""

    def __init__(
        self,
        folder: Path,
        connection: Backend | None = None,
        memory: KeptMemory | None = None,
    ) -> None:
        self.name = str(folder)
        self._folder = folder
        self._state = read_state(folder)
        self._connection = connection or connect()
        self._memory = memory
        if memory is not None:
            memory.begin_look()
        self._counted: dict[tuple[object, ...], ir.Table] = {}
        self._windows: dict[tuple[datetime | None, datetime | None], ir.Table] = {}

    @cached_property
    def accounting(self) -> Accounting:
        """Return how many pairs were read, repeated and lost."""
        return account_source(self, len(self._repeated), self._read_counts)

    @cached_property
    def _read_counts(self) -> ReadCounts:
        return counts_of(self._folder, self._state)

    @cached_property
    def _repeated(self) -> pd.DataFrame:
        return repeated_pairs(self._folder, self._state)

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs; files of days outside the window are not opened."""
        if (since, until) not in self._windows:
            window = self._window(since, until)
            # Where counts are kept, few statements read the pairs themselves: a view does not pay.
            self._windows[since, until] = window if self.keeps_counts else self.as_view(window)
        return self._windows[since, until]

    def _window(self, since: datetime | None, until: datetime | None) -> ir.Table:
        pairs = self._all_pairs
        if since is not None:
            pairs = pairs.filter(_.date >= since.astimezone(UTC).date())
        if until is not None:
            pairs = pairs.filter(_.date <= until.astimezone(UTC).date())
        return in_window(pairs.drop("date"), since, until)

    def prefetch(self, since: datetime | None, until: datetime | None) -> None:
        """Do nothing: Parquet is read by column, and counts are kept."""

    def counted(
        self,
        counts: MergeableCounts,
        since: datetime | None = None,
        until: datetime | None = None,
        prepared: PreparedRows | None = None,
    ) -> ir.Table:
        """Return the counts of all files: kept counts of known files plus counts of new ones.

        A folder in an object store keeps no counts, so its pairs are counted anew.
        """
        if not self.keeps_counts:
            return counted_once(counts, self.table(since, until), prepared)
        keys = (counts.key, counts.groups and counts.groups.key, prepared and prepared.key)
        key = *keys, since, until
        if key not in self._counted:
            begin, end = (None if each is None else nanoseconds(each) for each in (since, until))
            found = self._counts.of(counts, begin, end, prepared)
            self._counted[key] = register_table(
                self._connection, f"counted_{len(self._counted)}", found
            )
        return self._counted[key]

    @cached_property
    def _counts(self) -> CountsOfFiles:
        kept = KeptTables(self._folder / KEPT)
        if self._memory is not None:
            kept = RememberedTables(kept.folder, self._memory)
        return CountsOfFiles(self._connection, self._files, self.table().schema(), kept)

    @cached_property
    def _files(self) -> PartFiles:
        parts = pair_parts(self._folder, self._state)
        return PartFiles(self._folder, [part.path for part in parts])

    @property
    def place_tables(self) -> PlaceTables | None:
        """Return the kept tables that are counted from all pairs; None if nothing is kept."""
        if not self.keeps_counts:
            return None
        state = hashlib.sha256(self._state.dumps()).digest()
        origins = frozenset([state, *(file.origin for file in self._files)])
        kept = KeptTables(self._folder / KEPT)
        return PlaceTables(kept, origins, self._bound, self._memory is not None)

    def _bound(self, until: datetime | None) -> int | None:
        if until is None:
            return None
        window = self._files.window(None, nanoseconds(until))
        return window.until if window.files else 0

    @property
    def keeps_counts(self) -> bool:
        """Return whether counts are kept, beside the files: only if these are on this machine."""
        return not isinstance(self._folder, StorePath)

    def repeated(self) -> ir.Table:
        """Return the repeated pairs, which `compact` left out."""
        found = self._repeated
        flags = pa.array(found["flag"].astype(object), pa.string(), from_pandas=True)
        times = pa.array(found["time"].astype("int64"), pa.int64())
        return ibis.memtable(pa.table({"flag": flags, "time": times}))

    def tracked(self) -> TrackedOutcomes:
        """Return the outcomes that `compact` read from the pair files."""
        return TrackedOutcomes.of(self._read_counts.tracked, self._read_counts.worker_records)

    def as_view(self, table: ir.Table) -> ir.Table:
        """Create a view."""
        return create_view(self._connection, table)

    def cached(self, table: ir.Table) -> ir.Table:
        """Compute a temporary table."""
        return materialize(self._connection, table)

    @cached_property
    def _all_pairs(self) -> ir.Table:
        parts = [part.path for part in pair_parts(self._folder, self._state)]
        if not parts:
            columns = [*SPAN_COLUMNS, *ATTRIBUTE_COLUMNS.values()]
            types = {column.name: arrow_type(column.type) for column in columns}
            schema = pa.schema({**types, "time": pa.int64(), "date": pa.date32()})
            return register_table(self._connection, "no_pairs", schema.empty_table())
        table = self._connection.read_parquet(
            readable(self._connection, parts),
            hive_partitioning=True,
            hive_types_autocast=False,
            union_by_name=not self._have_same_columns,
        )
        table = completed(in_nanoseconds(table)).mutate(date=_.date.cast("date"))
        return self.as_view(table.select(*self._in_order(table.columns)))

    @property
    def _have_same_columns(self) -> bool:
        """Return whether all files are known to have the same columns.

        Otherwise the engine must open each file at each look, and for each view.
        """
        return (
            self._memory is not None
            and self.keeps_counts
            and self._memory.have_same_columns(self._files)
        )

    def _in_order(self, columns: Iterable[str]) -> list[str]:
        """Put the columns of outputs last, in the order in which the outputs first appeared.

        The engine's own order depends on the paths of the files. Texts are dropped: no count reads
        them.
        """
        known = [each.name for output in self._state.outputs for each in output_columns(output)]
        place = {name: number for number, name in enumerate(known)}
        counted = [name for name in columns if not holds_text(name)]
        return sorted(counted, key=lambda name: place.get(name, -1))
