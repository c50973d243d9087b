"""An input table of texts, whose errors name file, row and column.

It is a file, a table of an engine or a DataFrame. A file is CSV with a heading (separated by
commas, semicolons or tabs) or Parquet, plain or with gzip; it may be in an object store.
"""

import csv
import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from comparison.engines.connections import error_text
from comparison.engines.engine_urls import PlaceError, is_url, shown_url
from comparison.engines.places import database_hint, table_at
from comparison.inputs.csv_texts import line_of, read_texts, wrong_length
from comparison.inputs.data_frames import NAME, FrameError, Rows, as_texts, frame_columns
from comparison.pairs.stores.folders import folder_at, is_store

_PARQUET: Final = b"PAR1"
_NAMES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
_SEPARATORS: Final = ",;\t"
_NAMED: Final = 2
"""Number of values by which a message identifies a row of an engine."""

Error = Callable[..., Exception]
"""Creates an error from a path, a problem, and the place in the file, if it is known."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """The needed columns of an input table, under their normalised names."""

    path: Path | str
    """Path of a file; a text is the name of an engine's table or a DataFrame."""
    table: pa.Table
    written: tuple[str, ...]
    """The names of all columns, as they are in the file."""
    separator: str | None
    """None if it is not CSV."""
    error: Error

    def __len__(self) -> int:
        return len(self.table)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all columns, in lower case, with underscores."""
        return tuple(map(_normalised, self.written))

    def texts(self, name: str) -> "pd.Series[str]":
        """Return a column as stripped texts; empty texts and a missing column are NA."""
        if name not in self.table.column_names:
            return pd.Series([pd.NA] * len(self), dtype="string")
        column = self.table[name]
        if not pa.types.is_string(column.type):
            column = column.cast(pa.string())
        texts: pd.Series[str] = column.to_pandas().astype("string").str.strip()
        return texts.mask(texts == "")

    def times(self, name: str) -> "pd.Series[int]":
        """Return a column of times as nanoseconds since 1970, NA where it is empty."""
        if name not in self.table.column_names:
            return pd.Series([pd.NA] * len(self), dtype="Int64")
        column = self.table[name]
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            given = pd.Series(column.to_pandas())
        else:
            given = self.texts(name).astype(object)
        found = pd.to_datetime(given, utc=True, format="ISO8601", errors="coerce")
        # Nanoseconds reach from 1677 to 2262; a later time stands for "never".
        found = found.where(found.dt.year.between(1678, 2261)).dt.as_unit("ns")
        wrong = found.isna() & given.notna()
        self.refuse(wrong, name, "expected a time such as 2026-03-02T12:00:00Z")
        whole = found.astype("int64").astype("Int64")
        return whole.mask(found.isna())

    def refuse(self, wrong: Any, column: str, problem: str) -> None:
        """Raise the error of the first row that is wrong."""
        rows = np.flatnonzero(np.asarray(wrong, dtype=bool))
        if not len(rows):
            return
        row = int(rows[0])
        value = self.table[column][row].as_py() if column in self.table.column_names else None
        said = problem if value in (None, "") else f"{value!r}: {problem}"
        raise self.error(self.path, said, f"{self.place(row)}, column {column}")

    def place(self, row: int) -> str:
        """Return the place of a row, which counts from 0, for an error message."""
        if isinstance(self.path, str):  # an engine's rows have no order
            row_of = self.table.slice(row, 1).to_pylist()[0]
            names = [f"{name} {value!r}" for name, value in row_of.items() if value is not None]
            return f"the row of {', '.join(names[:_NAMED])}"
        if self.separator is None:
            return f"row {row + 1}"
        with _text(self.path) as file:
            return f"line {line_of(file, row, self.separator)}"


def open_tables(
    place: str | Path | Rows, wanted: Sequence[str], error: Error, expected: str
) -> list[TextTable]:
    """Return the table of a file, an engine's URL or a DataFrame, or of all files below a folder.

    The list has at least one table. Raises an error made by `error`, or StoreUnreadableError.
    """
    if isinstance(place, Rows):
        return [_frame_table(place, wanted, error)]
    if is_url(place) and not is_store(place):
        return [_table_at(str(place), wanted, error)]
    source = folder_at(place)
    if isinstance(source, Path) and (hint := database_hint(source)):
        raise error(source, hint)
    if not source.is_dir():
        return [_open(source, wanted, error, expected)]
    every = sorted(
        path for path in source.rglob("*") if path.is_file() and not path.name.startswith(".")
    )
    paths = [path for path in every if path.name.endswith(_NAMES)]
    if not paths:
        raise error(source, f"no file in it ends in {', '.join(_NAMES)}; {expected}")
    return [_open(path, wanted, error, expected) for path in paths]


def _table_at(url: str, wanted: Sequence[str], error: Error) -> TextTable:
    name = shown_url(url)
    try:
        rows = table_at(url)
    except PlaceError as problem:
        raise error(name, str(problem)) from problem
    return engine_table(name, rows, wanted, error)


def engine_table(name: str, rows: ir.Table, wanted: Sequence[str], error: Error) -> TextTable:
    """Read the columns `wanted` of an engine's table, as texts; times stay times."""
    chosen = {each: _normalised(each) for each in rows.columns if _normalised(each) in wanted}
    if len(set(chosen.values())) < len(chosen):
        raise error(name, f"a column is there twice; found: {', '.join(rows.columns)}")
    texts = {
        plain: rows[each] if rows[each].type().is_temporal() else rows[each].cast("string")
        for each, plain in chosen.items()
    }
    try:
        table = rows.select(**texts).to_pyarrow() if texts else pa.table({})
    except Exception as problem:  # each engine's client has errors of its own
        raise error(name, error_text(name, problem)) from problem
    return TextTable(name, table, tuple(rows.columns), None, error)


def _frame_table(rows: Rows, wanted: Sequence[str], error: Error) -> TextTable:
    columns = frame_columns(rows)
    written = tuple(name for name, _ in columns)
    chosen = [
        (_normalised(name), column) for name, column in columns if _normalised(name) in wanted
    ]
    names = [name for name, _ in chosen]
    if len(set(names)) < len(names):
        raise error(NAME, f"a column is there twice; found: {', '.join(written)}")
    try:
        arrays = [as_texts(name, column) for name, column in chosen]
    except FrameError as problem:
        raise error(NAME, str(problem)) from problem
    return TextTable(NAME, pa.Table.from_arrays(arrays, names), written, None, error)


def _open(path: Path, wanted: Sequence[str], error: Error, expected: str) -> TextTable:
    try:
        content = _content(path)
        if content[: len(_PARQUET)] == _PARQUET:
            return _parquet(path, content, wanted, error)
        return _csv(path, content, wanted, error)
    except EOFError as problem:
        raise error(
            path, "it was cut off while it was compressed, or is being written"
        ) from problem
    except FileNotFoundError as problem:
        raise error(path, "No such file or directory") from problem
    except OSError as problem:
        raise error(path, problem.strerror or str(problem)) from problem
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as problem:
        raise error(path, f"{problem}; {expected}") from problem


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _parquet(path: Path, content: bytes, wanted: Sequence[str], error: Error) -> TextTable:
    file = pq.ParquetFile(pa.BufferReader(content))
    written = tuple(file.schema_arrow.names)
    chosen = {name: _normalised(name) for name in written if _normalised(name) in wanted}
    table = file.read(columns=list(chosen)).rename_columns(list(chosen.values()))
    return TextTable(path, table, written, None, error)


def _csv(path: Path, content: bytes, wanted: Sequence[str], error: Error) -> TextTable:
    heading = content.lstrip(b"\xef\xbb\xbf\r\n").partition(b"\n")[0].decode("utf-8")
    separator = max(_SEPARATORS, key=heading.count)
    written = tuple(next(csv.reader([heading], delimiter=separator), []))
    chosen = {name: _normalised(name) for name in written if _normalised(name) in wanted}
    if len(set(chosen.values())) < len(chosen):
        raise error(path, f"a column is there twice; found: {', '.join(written)}")
    if not chosen:
        return TextTable(path, pa.table({}), written, separator, error)
    table, wrong = read_texts(io.BytesIO(content), list(chosen), separator)
    table = table.rename_columns(list(chosen.values()))
    found = TextTable(path, table, written, separator, error)
    if wrong:
        # The number counts the heading, and no row before it is wrong.
        raise error(path, wrong_length(wrong[0]), found.place(wrong[0].number - 2))
    return found


def _text(path: Path) -> IO[str]:
    return io.TextIOWrapper(io.BytesIO(_content(path)), encoding="utf-8-sig", newline="")


def _normalised(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")
