"""Files of labels: CSV with a heading, plain, .gz or .zst, or Parquet; or a table of an engine.

Files may be in an object store. A DataFrame is read as a file with its content would be.

Columns: `request_id`; `label`, or `label.<output>` for each output with labels (truths, numbers or
names of classes, see `comparison.labels.types`; empty: not known yet); optionally `labelled_at`
(ISO 8601; UTC unless it names a zone). Other columns are ignored.
"""

import csv
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from comparison.engines.connections import error_text
from comparison.engines.engine_urls import PlaceError, shown_url
from comparison.engines.places import table_at
from comparison.errors import LabelsUnreadableError
from comparison.inputs.csv_texts import line_of, read_texts, wrong_length
from comparison.inputs.data_frames import NAME, FrameError, Rows, as_texts, frame_columns
from comparison.pairs.compacted import parquet_file
from comparison.pairs.opening import files_below
from comparison.pairs.stores.folders import StorePath

if TYPE_CHECKING:
    from collections.abc import Iterator

ID, LABEL, TIME = "request_id", "label", "labelled_at"
OF_OUTPUT: Final = f"{LABEL}."
"""Prefix of the names of columns with the labels of one output."""

NAMES: Final = (".csv", ".csv.gz", ".csv.zst", ".parquet")
"""Suffixes of the names of label files in a folder."""

_EXPECTED: Final = (
    "expected CSV with a heading, or Parquet, with the columns request_id and label, or "
    "label.<output> where there are several outputs"
)
_PARQUET: Final = b"PAR1"
_PACKED: Final = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True, slots=True)
class LabelFile:
    """The columns of a file, an engine's table or a DataFrame, as they are written."""

    path: Path | str
    """Path of a file; a text is the URL of an engine's table, or the name of a DataFrame."""
    table: pa.Table
    is_csv: bool = False

    def __len__(self) -> int:
        return len(self.table)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns with labels."""
        return tuple(name for name in self.table.column_names if is_label(name))

    def ids(self) -> pa.ChunkedArray:
        """Return the request ids."""
        column = self.table[ID]
        ids = column if pa.types.is_string(column.type) else column.cast(pa.string())
        self._refuse(pc.fill_null(pc.equal(ids, ""), True), ID, "no request id")
        return ids

    def words(self, column: str) -> pa.ChunkedArray:
        """Return the labels of a column as texts, null where they are not known yet.

        Truths of Parquet stay truths.
        """
        labels = self.table[column]
        if pa.types.is_boolean(labels.type):
            return labels
        words = pc.utf8_trim_whitespace(labels.cast(pa.string()))
        return pc.if_else(pc.equal(words, ""), None, words)

    def times(self) -> pa.ChunkedArray | None:
        """Return the times of the labels, None if the file has none."""
        if TIME not in self.table.column_names:
            return None
        column = self.table[TIME]
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(column, ""), None, column)
        texts = column.to_pandas()
        times = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce").dt.as_unit("ns")
        wrong = pa.array((times.isna() & texts.notna()).to_numpy())
        self._refuse(wrong, TIME, "expected a time such as 2026-03-02T12:00:00Z")
        return pa.chunked_array([pa.array(times, pa.timestamp("ns", "UTC"))])

    def place(self, row: int) -> str:
        """Return the place of a row, which counts from 0, for an error message."""
        if isinstance(self.path, str):  # an engine's rows have no order
            return f"the row of {ID} {self.table[ID][row].as_py()!r}"
        if not self.is_csv:
            return f"row {row + 1}"
        with _text(self.path) as file:
            return f"line {line_of(file, row)}"

    @property
    def name(self) -> str:
        """Return the name of the file in its folder, or that of the table."""
        return self.path if isinstance(self.path, str) else self.path.name

    def error(self, row: int, column: str, problem: str) -> LabelsUnreadableError:
        """Return an error that names a row, which counts from 0, and a column."""
        return LabelsUnreadableError(self.path, problem, f"{self.place(row)}, column {column}")

    def refusal(self, wrong: Any, column: str, problem: str) -> LabelsUnreadableError | None:
        """Return the error of the first wrong row, None without one."""
        row = pc.index(wrong, True).as_py()
        if row < 0:
            return None
        value = self.table[column][row].as_py()
        return self.error(row, column, f"{value!r}: {problem}" if value is not None else problem)

    def _refuse(self, wrong: Any, column: str, problem: str) -> None:
        """Raise LabelsUnreadableError for the first wrong row."""
        if error := self.refusal(wrong, column, problem):
            raise error


def is_label(column: str) -> bool:
    """Return whether a column of this name holds labels."""
    return column == LABEL or column.startswith(OF_OUTPUT)


def find_label_files(path: Path) -> list[Path]:
    """Return the file at `path`, or the label files below the folder, sorted.

    A folder may be empty, since labels come later. Raises LabelsUnreadableError if it holds only
    other files.
    """
    if not path.is_dir():
        return [path]
    every = sorted(files_below(path))
    found = [each for each in every if each.name.endswith(NAMES)]
    if every and not found:
        named = ", ".join(each.name for each in every[:3])
        raise LabelsUnreadableError(
            path, f"none of its {len(every)} files ({named}) ends in {', '.join(NAMES)}"
        )
    return found


def open_labels(path: Path) -> LabelFile:
    """Read the needed columns of a file. Raises LabelsUnreadableError."""
    try:
        with path.open("rb") as file:
            is_csv = file.read(len(_PARQUET)) != _PARQUET
        table = _read_csv(path) if is_csv else _read_parquet(path)
    except FileNotFoundError as error:
        raise LabelsUnreadableError(path, "No such file or directory") from error
    except OSError as error:
        raise LabelsUnreadableError(path, error.strerror or str(error)) from error
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise LabelsUnreadableError(path, f"{error}; {_EXPECTED}") from error
    return LabelFile(path, table, is_csv)


def engine_labels(url: str) -> LabelFile:
    """Read the needed columns of an engine's table. Raises LabelsUnreadableError."""
    name = shown_url(url)
    try:
        rows = table_at(url, example="labels")
        wanted = label_columns(name, rows.columns)
        # Truths are read as numbers: ibis does not know ClickHouse's truths as such.
        labels = {
            each: rows[each].cast("int8") if rows[each].type().is_boolean() else rows[each]
            for each in wanted
        }
        return LabelFile(name, rows.select(**labels).to_pyarrow())
    except PlaceError as error:
        raise LabelsUnreadableError(name, str(error)) from error
    except LabelsUnreadableError:
        raise
    except Exception as error:  # each engine's client has errors of its own
        raise LabelsUnreadableError(name, error_text(url, error)) from error


def frame_labels(rows: Rows) -> LabelFile:
    """Convert the needed columns of a DataFrame. Raises LabelsUnreadableError."""
    columns = frame_columns(rows)
    wanted = label_columns(NAME, [name for name, _ in columns])
    try:
        texts = {name: as_texts(name, column) for name, column in columns if name in wanted}
    except FrameError as error:
        raise LabelsUnreadableError(NAME, str(error)) from error
    return LabelFile(NAME, pa.table(texts))


def label_columns(path: Path | str, names: Sequence[str]) -> list[str]:
    """Return the columns to read. Raises LabelsUnreadableError if they do not fit labels."""
    wanted = [name for name in names if name in (ID, TIME) or is_label(name)]
    labels = [name for name in wanted if is_label(name)]
    missing = [name for name, there in ((ID, ID in names), (LABEL, bool(labels))) if not there]
    if missing:
        found = f"found: {', '.join(names)}" if names else "the file is empty"
        if len(names) == 1 and (other := next((s for s in ";\t|" if s in names[0]), None)):
            found += f" (separated by {other!r}, not by commas?)"
        raise LabelsUnreadableError(
            path, f"no column {' and no column '.join(missing)}; {found}; {_EXPECTED}"
        )
    for name in wanted:
        if wanted.count(name) > 1:
            raise LabelsUnreadableError(path, f"the column {name} is there twice")
    if OF_OUTPUT in labels:
        raise LabelsUnreadableError(path, f"the column {OF_OUTPUT} names no output")
    return wanted


@contextmanager
def _text(path: Path) -> "Iterator[IO[str]]":
    """Open a file, decompressed, as text; the csv module needs line feeds unchanged."""
    with (
        _decompressed(path) as raw,
        TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file,
    ):
        yield file


def _csv_names(path: Path) -> list[str]:
    with _text(path) as file:
        return next((record for record in csv.reader(file) if record), [])


def _decompressed(path: Path) -> pa.NativeFile:
    """Open a file, on this machine or in an object store, to read its decompressed content."""
    source = path.open("rb", buffering=0) if isinstance(path, StorePath) else str(path)
    return pa.input_stream(source, compression=_PACKED.get(path.suffix))


def _read_parquet(path: Path) -> pa.Table:
    with parquet_file(path) as file:
        return file.read(columns=label_columns(path, file.schema_arrow.names))


def _read_csv(path: Path) -> pa.Table:
    wanted = label_columns(path, _csv_names(path))
    table, wrong = read_texts(_decompressed(path), wanted)
    if wrong:
        with _text(path) as file:  # the number counts the heading, and no row before it is wrong
            place = f"line {line_of(file, wrong[0].number - 2)}"
        raise LabelsUnreadableError(path, wrong_length(wrong[0]), place)
    return table
