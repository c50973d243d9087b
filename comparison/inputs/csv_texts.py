"""CSV read as texts: its columns, rows of a wrong length, and the line of a row."""

import csv
from collections.abc import Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from flags.gate.number_format import plural


def read_texts(
    source: Any, columns: Sequence[str], separator: str = ","
) -> tuple[pa.Table, list[arrow_csv.InvalidRow]]:
    """Return some columns of a file-like object, all as texts, and the rows that are left out.

    Rows with more or fewer values than the heading are left out; their numbers count from 1, the
    heading included. An empty value is an empty text. Raises ArrowException.
    """
    wrong: list[arrow_csv.InvalidRow] = []

    def leave_out(row: arrow_csv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    table = arrow_csv.read_csv(
        source,
        # With one thread, a wrong row has its number.
        read_options=arrow_csv.ReadOptions(use_threads=False),
        parse_options=arrow_csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=leave_out
        ),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(columns, pa.string()),
            strings_can_be_null=False,
        ),
    )
    return table, wrong


def wrong_length(row: arrow_csv.InvalidRow) -> str:
    """Return the problem of a row that was left out, for an error message."""
    return f"{plural(row.actual_columns, 'value')}, {row.expected_columns} in the heading"


def line_of(file: IO[str], row: int, separator: str = ",") -> int:
    """Return the line on which a row begins, from 1; values may contain line feeds.

    Rows count from 0, below the heading. For a row after the last one it is the line after the end.
    """
    reader = csv.reader(file, delimiter=separator)
    begin, found = 1, -1
    for record in reader:
        if record:
            if found == row:
                break
            found += 1
        begin = reader.line_num + 1
    return begin
