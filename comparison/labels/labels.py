"""One label per request and output, from one file or a folder of files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend

from comparison.engines.embedded import connect, shown, shown_anew
from comparison.engines.engine_urls import is_url, shown_url
from comparison.engines.id_hashes import IdHashes
from comparison.engines.kept import KeptTables
from comparison.engines.tables import nanoseconds
from comparison.errors import LabelsUnreadableError
from comparison.inputs.data_frames import NAME, Rows
from comparison.labels.choice import one_each
from comparison.labels.digest import digest_of
from comparison.labels.facts import FilesSeen, LabelFacts
from comparison.labels.files import (
    ID,
    LABEL,
    OF_OUTPUT,
    TIME,
    LabelFile,
    engine_labels,
    find_label_files,
    frame_labels,
    is_label,
    open_labels,
)
from comparison.labels.in_place import LabelsInPlace
from comparison.labels.types import ARROW, TypedColumn, typed_column
from comparison.pairs.stores import folder_at, is_store


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """Name a file of labels, a folder of them or a table, and what words in it stand for.

    The table may be a DataFrame.
    """

    path: str | Path | Rows
    values: Mapping[str, str] = field(default_factory=dict)

    def read(self) -> "Labels":
        """Return them, read when they are needed; see `load_labels`.

        Raises LabelsUnreadableError at once if there are no such files.
        """
        if isinstance(self.path, Rows) or (is_url(self.path) and not is_store(self.path)):
            return load_labels(self.path, values=self.values)
        paths = find_label_files(folder_at(self.path))
        if missing := [path for path in paths if not path.exists()]:
            raise LabelsUnreadableError(missing[0], "No such file or directory")
        return Labels(_name(self.path), _Unread(self.path, self.values))


@dataclass(frozen=True, slots=True)
class _Read:
    """Hold labels in memory."""

    rows: pa.Table
    facts: LabelFacts
    hashes: IdHashes | None = None
    """Of the request ids, if they are known."""

    @classmethod
    def of(
        cls,
        rows: pa.Table,
        contradicted: int = 0,
        refusals: Any = None,
        hashes: IdHashes | None = None,
        digest: str | None = None,
    ) -> "_Read":
        facts = LabelFacts(rows.schema, len(rows), contradicted, refusals or {}, digest)
        return cls(rows, facts, hashes)

    def with_digest(self) -> LabelFacts:
        """Return the facts with what differs where any label does."""
        if self.facts.digest is not None:
            return self.facts
        engine = connect()
        shown(engine, "labels", self.rows)
        _hashes, _wrong, digest = digest_of(engine, "FROM labels", self.rows.column_names)
        return replace(self.facts, digest=digest)

    def shown(self, engine: Backend, name: str) -> ir.Table:
        """Return them to an engine in this process; `name` is that of the request ids."""
        return shown_anew(engine, self.rows.rename_columns({ID: name}))


@dataclass(slots=True)
class _Unread:
    """Read files when their labels are asked for, or leave them where they lie."""

    path: str | Path
    values: Mapping[str, str]
    held: "_Read | LabelsInPlace | None" = None
    known: tuple[FilesSeen, LabelFacts] | None = None
    """What tells that they are the same, and what was found in them."""

    def facts(self, kept: KeptTables) -> LabelFacts:
        """Return the facts with the digest: what is kept of these files, if they are the same."""
        seen = self._seen() if self.held is None else None
        if seen is not None and (facts := seen.read(kept)) is not None:
            self.known = seen, facts
            return facts
        found = self.read().with_digest()
        if seen is not None and self._seen() == seen:
            seen.write(kept, found)
            self.known = seen, found
        return found

    def release(self) -> bool:
        """Hold them no longer, if other ones would be noticed when they are read again."""
        if isinstance(self.held, LabelsInPlace):
            self.held = replace(self.held, hashes=None)
            return False
        if self.known is None:
            return False
        self.held = None
        return True

    def read(self) -> "_Read | LabelsInPlace":
        """Read them once. Raises LabelsUnreadableError if they are not those that were kept."""
        if self.held is None:
            seen = self._seen()
            found = self._look(seen)
            if self.known is not None and seen != self.known[0]:
                self._refuse_others(found)
            if seen is not None and isinstance(found, LabelsInPlace):
                self.known = seen, found.facts
            self.held = found
        return self.held

    def verify(self) -> None:
        """Raise LabelsUnreadableError where labels that stay in their files are others now."""
        if not isinstance(self.held, LabelsInPlace) or not self.known:
            return
        seen = self._seen()
        if seen != self.known[0]:
            self._refuse_others(self._look(seen))

    def _look(self, seen: FilesSeen | None) -> "_Read | LabelsInPlace":
        """Leave them in their files if these are fit for it, and a change would be noticed."""
        place = None
        if seen is not None:
            place = LabelsInPlace.of(find_label_files(folder_at(self.path)))
        return place or load_labels(self.path, values=self.values)._read()

    def _refuse_others(self, found: "_Read | LabelsInPlace") -> None:
        """Raise LabelsUnreadableError where other labels have come since they were looked at."""
        if self.known and found.with_digest().digest != self.known[1].digest:
            raise LabelsUnreadableError(
                self.path, "it changed while the pairs were counted; run this again"
            )

    def _seen(self) -> FilesSeen | None:
        return FilesSeen.of(find_label_files(folder_at(self.path)), self.values)


class Labels:
    """Hold one row per request id: columns `request_id` (string) and its labels.

    These are `label`, or `label.<output>` for each output that has some: truths, doubles or strings
    as their words allow. `labelled_at` (nanoseconds since 1970) is there if a file says so.
    """

    def __init__(self, name: str, held: "_Read | _Unread") -> None:
        self.name = name
        self._held = held
        self._facts: LabelFacts | None = None

    @classmethod
    def of(cls, name: str, frame: pd.DataFrame) -> "Labels":
        """Take labels from a frame: a truth, number or word for each row, or none."""
        held = {ID: pa.array(frame[ID].astype("string"), pa.string(), from_pandas=True)}
        held |= {column: _arrow(frame[column]) for column in frame.columns if is_label(column)}
        if TIME in frame.columns:
            held[TIME] = pa.array(frame[TIME].astype("Int64"), from_pandas=True)
        return cls(name, _Read.of(pa.table(held)))

    @property
    def rows(self) -> pa.Table:
        """Return the labels."""
        return self._read().rows

    @property
    def hashes(self) -> IdHashes | None:
        """Return the hashes of their request ids, if they are known."""
        return self._read().hashes

    @property
    def facts(self) -> LabelFacts:
        """Return what is known of them: of files that have not changed, what was kept."""
        return self._facts or self._read().facts

    def digest(self, kept: KeptTables) -> str:
        """Return what differs where any label does; `kept` has it of files that were read before.

        So files that have not changed since are not read again.
        """
        if self._facts is None or self._facts.digest is None:
            held = self._held
            self._facts = held.with_digest() if isinstance(held, _Read) else held.facts(kept)
        return str(self._facts.digest)

    def release(self) -> bool:
        """Hold no rows, if they can be read again from files; say whether that is so."""
        self._facts = self.facts
        return isinstance(self._held, _Unread) and self._held.release()

    def verify(self) -> None:
        """Raise LabelsUnreadableError where they lie in files, and these have changed."""
        if isinstance(self._held, _Unread):
            self._held.verify()

    def _read(self) -> "_Read | LabelsInPlace":
        return self._held if isinstance(self._held, _Read) else self._held.read()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns that hold labels."""
        return tuple(name for name in self.facts.schema.names if is_label(name))

    @property
    def truths(self) -> list[str]:
        """Return the names of those that hold truths."""
        schema = self.facts.schema
        return [name for name in self.columns if pa.types.is_boolean(schema.field(name).type)]

    @property
    def frame(self) -> pd.DataFrame:
        """Return them for pandas."""
        found: pd.DataFrame = self.rows.to_pandas(types_mapper=_dtype)
        return found

    def shown(self, engine: Backend) -> ir.Table:
        """Return the labels to DuckDB in this process, as `table` does; nothing is copied."""
        return self._read().shown(engine, "label_request_id")

    def table(self) -> ir.Table:
        """Return the labels to an engine; the id is called `label_request_id`."""
        named = {ID: "label_request_id"}
        names = [named.get(name, name) for name in self.rows.column_names]
        # ClickHouse takes columns of a table that is sent along only by plain names.
        plain = [f"column{place}" for place in range(len(names))]
        held = ibis.memtable(self.rows.rename_columns(plain))
        return held.rename(dict(zip(names, plain, strict=True)))


def load_labels(
    path: str | Path | Rows,
    until: datetime | None = None,
    values: Mapping[str, str] | None = None,
) -> Labels:
    """Read labels; with `until`, without those that were given then or later.

    `values` are words by those that are written in their place: {"fraud": "1", "legit": "0"}.
    `path` is a file or a folder of files, which may be in an object store, or the URL of a table
    (`comparison.engines.places`). A label without a time counts as given before. Raises
    LabelsUnreadableError, which names the file, line (CSV) or row (Parquet, from 1) and column of
    what is wrong; or StoreUnreadableError.
    """
    files = _files(path)
    source = _name(path)
    columns = tuple(sorted({name for file in files for name in file.columns})) or (LABEL,)
    if LABEL in columns and len(columns) > 1:
        others = ", ".join(name for name in columns if name != LABEL)
        raise LabelsUnreadableError(
            source,
            f"columns {LABEL} and {others}: a label is that of one output; rename {LABEL} to "
            f"{OF_OUTPUT}<output>",
        )
    has_times = any(TIME in file.table.column_names for file in files)
    typed = {name: typed_column(files, name, values or {}) for name in columns}
    rows = [_rows(file, number, typed, has_times) for number, file in enumerate(files)]
    if not rows:
        return Labels(source, _Read.of(_empty(columns)))
    table = pa.concat_tables(rows)
    counts = reduce(pc.or_, [pc.is_valid(table[name]) for name in columns])
    if until is not None and has_times:
        early = pc.fill_null(pc.less(table[TIME], nanoseconds(until)), True)
        counts = pc.and_(counts, early)
    places = None
    if not pc.all(counts).as_py():
        table, places = table.filter(counts), np.flatnonzero(counts.to_numpy())
    kept, contradicted, hashes, digest = one_each(files, table, places)
    refusals = {name: each.refusals for name, each in typed.items()}
    return Labels(source, _Read.of(kept, contradicted, refusals, hashes, digest))


def _name(path: str | Path | Rows) -> str:
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
    """Return the rows of a file."""
    held = {ID: file.ids()}
    for name, column in columns.items():
        held[name] = column.parts[number].cast(ARROW[column.kind])
    if has_times:
        times = file.times()
        held[TIME] = pa.nulls(len(file), pa.int64()) if times is None else times.cast(pa.int64())
    return pa.table(held)


def _empty(columns: Sequence[str]) -> pa.Table:
    return pa.table(
        {ID: pa.array([], pa.string())} | {n: pa.array([], pa.bool_()) for n in columns}
    )


def _arrow(values: "pd.Series[Any]") -> pa.Array:
    """Return labels as an engine takes them."""
    if pd.api.types.is_string_dtype(values.dtype):
        return pa.array(values.astype("string"), pa.string(), from_pandas=True)
    if pd.api.types.is_float_dtype(values.dtype):
        return pa.array(values.astype("Float64"), from_pandas=True)
    return pa.array(values.astype("boolean"), from_pandas=True)


def _dtype(kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        return pd.StringDtype("pyarrow")
    if pa.types.is_floating(kind):
        return pd.Float64Dtype()
    return pd.BooleanDtype() if pa.types.is_boolean(kind) else pd.Int64Dtype()
