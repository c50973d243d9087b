"""One label per request and output, from one file or a folder of files."""

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
        return Labels(name_of(self.path), UnreadLabels(self.path, self.values))


class Labels:
    """Hold one row per request id: columns `request_id` (string) and its labels.

    These are `label`, or `label.<output>` for each output that has some: truths, doubles or strings
    as their words allow. `labelled_at` (nanoseconds since 1970) is there if a file says so.
    """

    def __init__(self, name: str, held: "LabelsInMemory | UnreadLabels") -> None:
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
        return cls(name, LabelsInMemory.of(pa.table(held)))

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
            if isinstance(held, LabelsInMemory):
                self._facts = held.with_digest()
            else:
                self._facts = held.facts(kept)
        return str(self._facts.digest)

    def release(self) -> bool:
        """Hold no rows, if they can be read again from files; say whether that is so."""
        self._facts = self.facts
        return isinstance(self._held, UnreadLabels) and self._held.release()

    def verify(self) -> None:
        """Raise LabelsUnreadableError where they lie in files, and these have changed."""
        if isinstance(self._held, UnreadLabels):
            self._held.verify()

    def _read(self) -> "LabelsInMemory | LabelsInPlace":
        return self._held if isinstance(self._held, LabelsInMemory) else self._held.read()

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
    return Labels(name_of(path), read_labels(path, until, values))


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
