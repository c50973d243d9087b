"""Conversion between DataFrames of pairs and the Arrow tables that Parquet files hold."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionArray

from comparison.pairs.column_types import (
    CATEGORY,
    CERTAINTY,
    CONTENT,
    COUNT,
    NUMBER,
    SIDE,
    STATUS,
    TEXT,
    TIME,
    TRUTH,
    ColumnType,
)
from comparison.pairs.columns import Column, column_named

NANOSECONDS: Final = pa.timestamp("ns", "UTC")

_TYPES: Final[tuple[tuple[ColumnType, pa.DataType], ...]] = (
    (TEXT, pa.string()),
    (CONTENT, pa.string()),
    (CATEGORY, pa.string()),
    (SIDE, pa.string()),
    (STATUS, pa.string()),
    (NUMBER, pa.float64()),
    (COUNT, pa.int64()),
    (TRUTH, pa.bool_()),
    (CERTAINTY, pa.bool_()),
    (TIME, NANOSECONDS),
)


def arrow_type(column_type: ColumnType) -> pa.DataType:
    """Return the Arrow type of a column; categories are strings, without a dictionary."""
    return next(arrow for each, arrow in _TYPES if each is column_type)


def to_arrow(frame: pd.DataFrame, *, dictionaries: bool = False) -> pa.Table:
    """Convert a frame whose columns have their full names to Arrow; NaN becomes null.

    With `dictionaries`, categories stay dictionary-encoded, as Parquet writes them.
    """
    arrays = {}
    for name, values in frame.items():
        column = column_named(str(name))
        array = pa.array(values, from_pandas=True)
        if column:
            target = arrow_type(column.type)
            if dictionaries and pa.types.is_dictionary(array.type):
                target = pa.dictionary(array.type.index_type, target)
            array = array.cast(target)
        arrays[str(name)] = array
    return pa.table(arrays)


def to_parts(table: pa.Table) -> dict[Column, Any]:
    """Convert an Arrow table to the parts of columns that `Table.add_parts` takes.

    Columns that are not columns of pairs are left out.
    """
    columns = ((column_named(name), name) for name in table.column_names)
    return {
        column: _converter(column.type)(table.column(name).combine_chunks())
        for column, name in columns
        if column is not None
    }


def _converter(column_type: ColumnType) -> Callable[[Any], Any]:
    """Return the function from an Arrow array to the result of `ColumnType.part`."""
    if column_type in (TEXT, CONTENT):
        return _texts
    if column_type in (CATEGORY, SIDE, STATUS):
        return _codes
    if column_type is TIME:
        return _times
    return _truths if column_type in (TRUTH, CERTAINTY) else _floats


def _texts(array: Any) -> ExtensionArray:
    texts: ExtensionArray = pd.array(array.to_pandas(), dtype="string")
    return texts


def _codes(array: Any) -> tuple[npt.NDArray[np.intp], list[str]]:
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes.astype(np.intp), encoded.dictionary.to_pylist()


def _floats(array: Any) -> npt.NDArray[np.float64]:
    numbers: npt.NDArray[np.float64] = array.to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers


def _truths(array: Any) -> npt.NDArray[np.int8]:
    states: npt.NDArray[np.int8] = array.cast(pa.int8()).fill_null(-1).to_numpy()
    return states


def _times(array: Any) -> npt.NDArray[np.int64]:
    times: npt.NDArray[np.int64] = array.cast(NANOSECONDS).cast(pa.int64()).to_numpy()
    return times
