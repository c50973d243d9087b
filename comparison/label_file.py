"""Read the columns of a file of labels, CSV or Parquet, and say where something is wrong."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from comparison.errors import LabelsUnreadableError

ID, LABEL, TIME = "request_id", "label", "labelled_at"

_EXPECTED: Final = "expected CSV with a heading, or Parquet, with the columns request_id and label"
_TRUE: Final = pa.array(["true", "1", "1.0"])
_WORDS: Final = pa.array(["true", "1", "1.0", "false", "0", "0.0"])
_PARQUET: Final = b"PAR1"


@dataclass(frozen=True, slots=True)
class LabelFile:
    """Hold the columns of a file as they are written."""

    path: Path
    table: pa.Table
    is_csv: bool

    def __len__(self) -> int:
        return len(self.table)

    def ids(self) -> pa.ChunkedArray:
        """Return the request ids."""
        held = self.table[ID]
        ids = held if pa.types.is_string(held.type) else held.cast(pa.string())
        self._refuse(pc.fill_null(pc.equal(ids, ""), True), ID, "no request id")
        return ids

    def labels(self) -> pa.ChunkedArray:
        """Return the labels as truths."""
        held = self.table[LABEL]
        if pa.types.is_boolean(held.type):
            truths = held
        else:
            words = pc.utf8_lower(pc.utf8_trim_whitespace(held.cast(pa.string())))
            wrong = pc.invert(pc.is_in(words, value_set=_WORDS))
            self._refuse(wrong, LABEL, "expected true or false, 1 or 0")
            truths = pc.is_in(words, value_set=_TRUE)
        self._refuse(pc.is_null(truths), LABEL, "expected true or false, 1 or 0")
        return truths

    def times(self) -> pa.ChunkedArray | None:
        """Return when the labels were given, None if the file does not say."""
        if TIME not in self.table.column_names:
            return None
        held = self.table[TIME]
        if pa.types.is_string(held.type):
            held = pc.if_else(pc.equal(held, ""), None, held)
        texts = held.to_pandas()
        times = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce").dt.as_unit("ns")
        wrong = pa.array((times.isna() & texts.notna()).to_numpy())
        self._refuse(wrong, TIME, "expected a time such as 2026-03-02T12:00:00Z")
        return pa.chunked_array([pa.array(times, pa.timestamp("ns", "UTC"))])

    def place(self, row: int) -> str:
        """Return what a reader looks for to find a row, which counts from 0."""
        return f"line {self._line(row)}" if self.is_csv else f"row {row + 1}"

    def error(self, row: int, column: str, problem: str) -> LabelsUnreadableError:
        """Return the error that names a row, which counts from 0, and a column."""
        return LabelsUnreadableError(self.path, problem, f"{self.place(row)}, column {column}")

    def _refuse(self, wrong: Any, column: str, problem: str) -> None:
        """Raise LabelsUnreadableError for the first row that is wrong."""
        row = pc.index(wrong, True).as_py()
        if row < 0:
            return
        value = self.table[column][row].as_py()
        raise self.error(row, column, f"{value!r}: {problem}" if value is not None else problem)

    def _line(self, row: int) -> int:
        """Return the line on which a row begins, from 1: a value may hold line feeds."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            begin, found = 1, -1
            for record in reader:
                if record:
                    if found == row:
                        return begin
                    found += 1
                begin = reader.line_num + 1
        return begin


def open_labels(path: Path) -> LabelFile:
    """Read what is needed of a file. Raises LabelsUnreadableError."""
    try:
        with path.open("rb") as file:
            is_csv = file.read(len(_PARQUET)) != _PARQUET
        names = _csv_names(path) if is_csv else pq.read_schema(path).names
        missing = [name for name in (ID, LABEL) if name not in names]
        if missing:
            found = f"found: {', '.join(names)}" if names else "the file is empty"
            raise LabelsUnreadableError(
                path, f"no column {' and no column '.join(missing)}; {found}; {_EXPECTED}"
            )
        wanted = [name for name in (ID, LABEL, TIME) if name in names]
        table = _read_csv(path, wanted) if is_csv else pq.read_table(path, columns=wanted)
    except OSError as error:
        raise LabelsUnreadableError(path, error.strerror or str(error)) from error
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise LabelsUnreadableError(path, f"{error}; {_EXPECTED}") from error
    return LabelFile(path, table, is_csv)


def _csv_names(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next((record for record in csv.reader(file) if record), [])


def _read_csv(path: Path, wanted: list[str]) -> pa.Table:
    wrong: list[arrow_csv.InvalidRow] = []

    def refuse(row: arrow_csv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    table = arrow_csv.read_csv(
        path,
        # One thread: only then a wrong row knows its number.
        read_options=arrow_csv.ReadOptions(use_threads=False),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,
        ),
    )
    if wrong:
        first = wrong[0]
        raise LabelsUnreadableError(
            path,
            f"{first.actual_columns} values, {first.expected_columns} in the heading",
            f"row {first.number} counted with the heading",
        )
    return table
