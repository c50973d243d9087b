"""The labels, which come late: what each request turned out to be.

A file of labels is CSV with a heading, or Parquet. Columns: `request_id`, `label` (true or false,
yes or no, 1 or 0, +1 or -1; empty: not known yet) and, if wanted, `labelled_at` (ISO 8601; UTC
unless it names a zone). Others are ignored.
"""

import csv
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
from ibis import _

from comparison.engines.embedded import connect, shown
from comparison.engines.tables import nanoseconds
from comparison.errors import LabelsUnreadableError

ID, LABEL, TIME = "request_id", "label", "labelled_at"

_EXPECTED: Final = "expected CSV with a heading, or Parquet, with the columns request_id and label"
_TRUE: Final = r"^(true|yes|\+?1(\.0*)?)$"
_FALSE: Final = r"^(false|no|-1(\.0*)?|[+-]?0(\.0*)?)$"
_WANTED: Final = "expected true or false, yes or no, 1 or 0, +1 or -1; empty: not known yet"
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
        """Return the labels as truths, null where they are not known yet."""
        held = self.table[LABEL]
        if pa.types.is_boolean(held.type):
            return held
        words = pc.utf8_lower(pc.utf8_trim_whitespace(held.cast(pa.string())))
        words = pc.if_else(pc.equal(words, ""), None, words)
        truths = pc.match_substring_regex(words, _TRUE)
        known = pc.or_(truths, pc.match_substring_regex(words, _FALSE))
        self._refuse(pc.fill_null(pc.invert(known), False), LABEL, _WANTED)
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


@dataclass(frozen=True, slots=True)
class Labels:
    """Hold one label per request id: columns `request_id` (string) and `label` (boolean)."""

    name: str
    frame: pd.DataFrame
    contradicted: int = 0
    """Request ids that had labels that differ; the last one is taken."""

    def table(self) -> ir.Table:
        """Return the labels to an engine; the id is called `label_request_id`."""
        ids = pa.array(self.frame["request_id"].astype("string"), from_pandas=True)
        truths = pa.array(self.frame["label"].astype("boolean"), from_pandas=True)
        return ibis.memtable(pa.table({"label_request_id": ids, "label": truths}))


def load_labels(path: str | Path, until: datetime | None = None) -> Labels:
    """Read a file of labels; with `until`, without those that were given then or later.

    A label without a time counts as given before. Raises LabelsUnreadableError, which names the
    line (CSV) or row (Parquet, from 1) and the column of what is wrong.
    """
    file = open_labels(Path(path))
    columns = {"request_id": file.ids(), "label": file.labels()}
    times = file.times()
    if times is not None:
        columns["time"] = times
    table = pa.table(columns).append_column("row", pa.array(np.arange(len(file))))
    if until is not None and times is not None:
        limit = pa.scalar(nanoseconds(until), pa.int64()).cast(times.type)
        table = table.filter(pc.fill_null(pc.less(table["time"], limit), True))
    table = table.filter(pc.is_valid(table["label"]))
    kept, contradicted = _one_each(file, table)
    frame = kept.select(["request_id", "label"]).to_pandas(types_mapper=_dtype)
    return Labels(str(path), frame, contradicted)


def _dtype(kind: pa.DataType) -> Any:
    return pd.StringDtype("pyarrow") if pa.types.is_string(kind) else pd.BooleanDtype()


def _one_each(file: LabelFile, table: pa.Table) -> tuple[pa.Table, int]:
    """Return one row per request id, and of how many ids the labels differed."""
    several = _several(table["request_id"])
    if not len(several):
        return table, 0
    among = pc.is_in(table["request_id"], value_set=several)
    rows = table.filter(among).to_pandas()
    first = rows.groupby("request_id")["label"].transform("first")
    differing = set(rows.loc[rows["label"] != first, "request_id"])
    differ = rows["request_id"].isin(differing)
    kept = [*rows.loc[~differ].drop_duplicates("request_id")["row"]]
    kept += [_last(file, group) for _id, group in rows.loc[differ].groupby("request_id")]
    chosen = pc.is_in(table["row"], value_set=pa.array(kept, pa.int64()))
    return table.filter(pc.or_(pc.invert(among), chosen)), len(differing)


def _several(ids: pa.ChunkedArray) -> pa.Array:
    """Return the ids that occur more than once; sorting hashes takes a tenth of the memory."""
    table = shown(connect(in_order=True), "labels", pa.table({"id": ids}))
    keys = table.select(key=_.id.hash()).to_pyarrow()["key"].to_numpy()
    order = np.sort(keys)
    suspects = ids.filter(pa.array(np.isin(keys, order[1:][order[1:] == order[:-1]])))
    counts = pc.value_counts(suspects)
    found: pa.Array = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return found


def _last(file: LabelFile, rows: pd.DataFrame) -> int:
    """Return the row of the label that was given last. Raises LabelsUnreadableError."""
    [(_place, first), (_place, second), *_more] = rows.drop_duplicates("label").iterrows()
    others = f"{first['request_id']!r} has another label in {file.place(int(first['row']))}"
    wrong = int(second["row"])
    if "time" not in rows or rows["time"].isna().any():
        raise file.error(
            wrong, "label", f"{others}; a column labelled_at would say which is the last"
        )
    last = rows.loc[rows["time"] == rows["time"].max()]
    if last["label"].nunique() > 1:
        raise file.error(wrong, "labelled_at", f"{others}, given at the same time")
    return int(last["row"].iloc[0])
