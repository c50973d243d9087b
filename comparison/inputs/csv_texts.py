"""CSV as texts: its columns, rows of another length than the heading, the line of a row."""

import csv
from collections.abc import Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from flags.gate.number_format import plural


def read_texts(
    source: Any, columns: Sequence[str], separator: str = ","
) -> tuple[pa.Table, list[arrow_csv.InvalidRow]]:
    """Return some columns of a file-like object, all texts, and the rows that are left out.

    These have more or fewer values than the heading; their numbers count it, from 1. An empty
    value is an empty text. Raises ArrowException.
    """
    wrong: list[arrow_csv.InvalidRow] = []

    def leave_out(row: arrow_csv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    table = arrow_csv.read_csv(
        source,
        # One thread: only then a wrong row knows its number.
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
    """Say what is wrong with a row that was left out."""
    return f"{plural(row.actual_columns, 'value')}, {row.expected_columns} in the heading"


def line_of(file: IO[str], row: int, separator: str = ",") -> int:
    """Return the line on which a row begins, from 1: a value may hold line feeds.

    Rows count from 0, below the heading; behind the last one it is the line after the end.
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
