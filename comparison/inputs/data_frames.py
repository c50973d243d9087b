"""An input DataFrame: its columns as the texts that a CSV file would hold."""

from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa

NAME: Final = "the DataFrame"
"""Name of the input in messages."""

_EXACT: Final = 2.0**53
"""Up to this, a double holds each whole number exactly."""


@runtime_checkable
class Rows(Protocol):
    """A DataFrame of pandas or Polars, or any other object with Arrow's PyCapsule interface.

    https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
    """

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the rows as a stream of Arrow."""


class FrameError(ValueError):
    """Name the column of a DataFrame with a value that a file cannot hold."""


def frame_columns(given: Rows) -> list[tuple[str, "pd.Series[Any]"]]:
    """Return the columns with their names; a named index is a column, too."""
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
    """Convert a column to texts, missing values to null; times stay times.

    Whole numbers are written without decimals, since pandas converts integers to doubles if one is
    missing. Raises FrameError for lists and the like, which a file cannot hold.
    """
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pa.array(column, from_pandas=True)
    values = zip(column, column.notna(), strict=True)
    return pa.array([_text(name, each) if known else None for each, known in values], pa.string())


def _text(name: str, value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, list | tuple | set | dict | bytes | np.ndarray):
        kind = type(value).__name__
        raise FrameError(f"column {name} holds a {kind}: {value!r:.40}; expected text or a number")
    return str(value)
