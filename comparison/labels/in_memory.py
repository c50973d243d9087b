"""Labels in memory: read from files, a table of an engine or a DataFrame, one for each request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend

from comparison.engines.embedded import connect, register_table, register_unnamed
from comparison.engines.engine_urls import is_url, shown_url
from comparison.engines.id_hashes import IdHashes
from comparison.engines.tables import nanoseconds
from comparison.errors import LabelsUnreadableError
from comparison.inputs.data_frames import NAME, Rows
from comparison.labels.choice import one_per_request
from comparison.labels.digest import digest_of
from comparison.labels.facts import LabelFacts
from comparison.labels.files import (
    ID,
    LABEL,
    OF_OUTPUT,
    TIME,
    LabelFile,
    engine_labels,
    find_label_files,
    frame_labels,
    open_labels,
)
from comparison.labels.types import ARROW, TypedColumn, typed_column
from comparison.pairs.stores.folders import folder_at, is_store


@dataclass(frozen=True, slots=True)
class LabelsInMemory:
    """Labels in memory: a row for each request with a label."""

    rows: pa.Table
    facts: LabelFacts
    hashes: IdHashes | None = None
    """Hashes of the request ids, if they are known."""

    @classmethod
    def of(
        cls,
        rows: pa.Table,
        contradicted: int = 0,
        refusals: Any = None,
        hashes: IdHashes | None = None,
        digest: str | None = None,
    ) -> "LabelsInMemory":
        """Wrap rows, with the facts found while they were read."""
        facts = LabelFacts(rows.schema, len(rows), contradicted, refusals or {}, digest)
        return cls(rows, facts, hashes)

    def with_digest(self) -> LabelFacts:
        """Return the facts, with the digest."""
        if self.facts.digest is not None:
            return self.facts
        engine = connect()
        register_table(engine, "labels", self.rows)
        _hashes, _wrong, digest = digest_of(engine, "FROM labels", self.rows.column_names)
        return replace(self.facts, digest=digest)

    def shown(self, engine: Backend, name: str) -> ir.Table:
        """Return the labels as a table of an engine in this process; `name` is the id column."""
        return register_unnamed(engine, self.rows.rename_columns({ID: name}))


def read_labels(
    path: str | Path | Rows,
    until: datetime | None = None,
    values: Mapping[str, str] | None = None,
) -> LabelsInMemory:
    """Read labels into memory; see `comparison.labels.load_labels`."""
    files = _files(path)
    source = name_of(path)
    columns = tuple(sorted({name for file in files for name in file.columns})) or (LABEL,)
    if LABEL in columns and len(columns) > 1:
        others = ", ".join(name for name in columns if name != LABEL)
        raise LabelsUnreadableError(
            source,
            f"columns {LABEL} and {others}: each label belongs to one output; rename {LABEL} to "
            f"{OF_OUTPUT}<output>",
        )
    has_times = any(TIME in file.table.column_names for file in files)
    typed = {name: typed_column(files, name, values or {}) for name in columns}
    rows = [_rows(file, number, typed, has_times) for number, file in enumerate(files)]
    if not rows:
        return LabelsInMemory.of(_empty(columns))
    table = pa.concat_tables(rows)
    counts = reduce(pc.or_, [pc.is_valid(table[name]) for name in columns])
    if until is not None and has_times:
        early = pc.fill_null(pc.less(table[TIME], nanoseconds(until)), True)
        counts = pc.and_(counts, early)
    places = None
    if not pc.all(counts).as_py():
        table, places = table.filter(counts), np.flatnonzero(counts.to_numpy())
    kept, contradicted, hashes, digest = one_per_request(files, table, places)
    refusals = {name: each.refusals for name, each in typed.items()}
    return LabelsInMemory.of(kept, contradicted, refusals, hashes, digest)


def name_of(path: str | Path | Rows) -> str:
    """Return the name of a place of labels for messages, without a password."""
    if isinstance(path, Rows):
        return NAME
    return shown_url(str(path)) if is_url(path) else str(path)


def _files(path: str | Path | Rows) -> list[LabelFile]:
    if isinstance(path, Rows):
        return [frame_labels(path)]
    if is_url(path) and not is_store(path):
        return [engine_labels(str(path))]
    return [open_labels(each) for each in find_label_files(folder_at(path))]


def _rows(
    file: LabelFile, number: int, columns: Mapping[str, TypedColumn], has_times: bool
) -> pa.Table:
    """Return the rows of a file with typed columns."""
    arrays = {ID: file.ids()}
    for name, column in columns.items():
        arrays[name] = column.parts[number].cast(ARROW[column.kind])
    if has_times:
        times = file.times()
        arrays[TIME] = pa.nulls(len(file), pa.int64()) if times is None else times.cast(pa.int64())
    return pa.table(arrays)


def _empty(columns: Sequence[str]) -> pa.Table:
    return pa.table(
        {ID: pa.array([], pa.string())} | {n: pa.array([], pa.bool_()) for n in columns}
    )
