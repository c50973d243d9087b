"""A DataFrame that somebody hands in: its columns as the texts that a file of it would hold."""

from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa

NAME: Final = "the DataFrame"
"""What it is called in messages."""

_EXACT: Final = 2.0**53
"""Up to it, a double holds each whole number."""


@runtime_checkable
class Rows(Protocol):
    """A DataFrame of pandas or Polars, a table of Arrow: what the Arrow PyCapsule interface gives.

    https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
    """

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the rows as a stream of Arrow."""


class FrameError(ValueError):
    """Say which column of a DataFrame holds what no file could."""


def frame_columns(given: Rows) -> list[tuple[str, "pd.Series[Any]"]]:
    """Return the columns with their names; an index that has a name is one, too."""
    if isinstance(given, pd.Series):
        given = given.to_frame()
    if isinstance(given, pd.DataFrame):
        frame = given
    else:
        frame = pa.table(given).to_pandas(types_mapper=pd.ArrowDtype)
    named = [
        (str(name), frame.index.get_level_values(place).to_series())
        for place, name in enumerate(frame.index.names)
        if name is not None and name not in frame.columns
    ]
    places = range(frame.shape[1])
    return named + [(str(frame.columns[place]), frame.iloc[:, place]) for place in places]


def as_texts(name: str, column: "pd.Series[Any]") -> pa.Array:
    """Return the texts of a column, null where it has none; times stay times.

    A whole number has no decimals, since pandas makes doubles of integers where one is missing.
    Raises FrameError for lists and the like: a file has none.
    """
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pa.array(column, from_pandas=True)
    there = zip(column, column.notna(), strict=True)
    return pa.array([_text(name, each) if known else None for each, known in there], pa.string())


def _text(name: str, value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, list | tuple | set | dict | bytes | np.ndarray):
        kind = type(value).__name__
        raise FrameError(f"column {name} holds a {kind}: {value!r:.40}; expected text or a number")
    return str(value)
