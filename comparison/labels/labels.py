"""The labels: one per request and output, from files, a table or a DataFrame."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis.backends.duckdb import Backend

from comparison.engines.engine_urls import is_url
from comparison.engines.id_hashes import IdHashes
from comparison.engines.kept.tables import KeptTables
from comparison.errors import LabelsUnreadableError
from comparison.inputs.data_frames import Rows
from comparison.labels.facts import LabelFacts
from comparison.labels.files import ID, TIME, find_label_files, is_label
from comparison.labels.in_memory import LabelsInMemory, name_of, read_labels
from comparison.labels.in_place import LabelsInPlace
from comparison.labels.unread import UnreadLabels
from comparison.pairs.stores.folders import folder_at, is_store


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """The place of labels (a file, a folder, a table's URL or a DataFrame), and meanings of words.

    `values` maps words in it to others, such as {"fraud": "1"}.
    """

    path: str | Path | Rows
    values: Mapping[str, str] = field(default_factory=dict)

    def read(self) -> "Labels":
        """Return the labels; files are read later, when they are needed. See `load_labels`.

        Raises LabelsUnreadableError at once if a file is missing.
        """
        if isinstance(self.path, Rows) or (is_url(self.path) and not is_store(self.path)):
            return load_labels(self.path, values=self.values)
        paths = find_label_files(folder_at(self.path))
        if missing := [path for path in paths if not path.exists()]:
            raise LabelsUnreadableError(missing[0], "No such file or directory")
        return Labels(name_of(self.path), UnreadLabels(self.path, self.values))


class Labels:
    """Labels, one row per request id: the columns `request_id` (string) and those of labels.

    These are `label`, or `label.<output>` for each output with labels: truths, doubles or strings,
    as their words allow. `labelled_at` (nanoseconds since 1970) is there if a file has times.
    """

    def __init__(self, name: str, source: "LabelsInMemory | UnreadLabels") -> None:
        self.name = name
        self._source = source
        self._facts: LabelFacts | None = None

    @classmethod
    def of(cls, name: str, frame: pd.DataFrame) -> "Labels":
        """Convert a frame with a truth, number or word in each row, or a missing value."""
        arrays = {ID: pa.array(frame[ID].astype("string"), pa.string(), from_pandas=True)}
        arrays |= {column: _arrow(frame[column]) for column in frame.columns if is_label(column)}
        if TIME in frame.columns:
            arrays[TIME] = pa.array(frame[TIME].astype("Int64"), from_pandas=True)
        return cls(name, LabelsInMemory.of(pa.table(arrays)))

    @property
    def rows(self) -> pa.Table:
        """Return the labels as an Arrow table."""
        return self._read().rows

    @property
    def hashes(self) -> IdHashes | None:
        """Return the hashes of the request ids, if they are known."""
        return self._read().hashes

    @property
    def facts(self) -> LabelFacts:
        """Return the facts: those that were kept, if the files have not changed."""
        return self._facts or self._read().facts

    def digest(self, kept: KeptTables) -> str:
        """Return the digest, which changes with any label.

        `kept` has the digests of files that were read before, so unchanged files are not read.
        """
        if self._facts is None or self._facts.digest is None:
            source = self._source
            if isinstance(source, LabelsInMemory):
                self._facts = source.with_digest()
            else:
                self._facts = source.facts(kept)
        return str(self._facts.digest)

    def release(self) -> bool:
        """Drop the rows if they can be read again from files; return whether they were dropped."""
        self._facts = self.facts
        return isinstance(self._source, UnreadLabels) and self._source.release()

    def verify(self) -> None:
        """Raise LabelsUnreadableError if the labels stay in files and these have changed."""
        if isinstance(self._source, UnreadLabels):
            self._source.verify()

    def _read(self) -> "LabelsInMemory | LabelsInPlace":
        return self._source if isinstance(self._source, LabelsInMemory) else self._source.read()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns with labels."""
        return tuple(name for name in self.facts.schema.names if is_label(name))

    @property
    def truths(self) -> list[str]:
        """Return the names of the columns with truths."""
        schema = self.facts.schema
        return [name for name in self.columns if pa.types.is_boolean(schema.field(name).type)]

    @property
    def frame(self) -> pd.DataFrame:
        """Return the labels as a pandas DataFrame."""
        found: pd.DataFrame = self.rows.to_pandas(types_mapper=_dtype)
        return found

    def shown(self, engine: Backend) -> ir.Table:
        """Return what `table` does, for DuckDB in this process, without a copy."""
        return self._read().shown(engine, "label_request_id")

    def table(self) -> ir.Table:
        """Return the labels as a table for any engine; the id column is `label_request_id`."""
        named = {ID: "label_request_id"}
        names = [named.get(name, name) for name in self.rows.column_names]
        # In a table that is sent with a query, ClickHouse accepts only plain column names.
        plain = [f"column{place}" for place in range(len(names))]
        sent = ibis.memtable(self.rows.rename_columns(plain))
        return sent.rename(dict(zip(names, plain, strict=True)))


def load_labels(
    path: str | Path | Rows,
    until: datetime | None = None,
    values: Mapping[str, str] | None = None,
) -> Labels:
    """Read labels; with `until`, only those given before that time, or without a time.

    `values` maps words in the files to others: {"fraud": "1", "legit": "0"}. `path` is a file or a
    folder of files, which may be in an object store, the URL of a table
    (`comparison.engines.places`), or a DataFrame. Raises LabelsUnreadableError, which names the
    file, the line (CSV) or row (Parquet, from 1) and the column of the problem; or
    StoreUnreadableError.
    """
    return Labels(name_of(path), read_labels(path, until, values))


def _arrow(values: "pd.Series[Any]") -> pa.Array:
    """Convert a column of labels to Arrow."""
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
