"""Conversion between frames of pairs and Arrow, as Parquet keeps it."""

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


def arrow_type(given: ColumnType) -> pa.DataType:
    """Return the Arrow type of a column; repeated words are strings, without a dictionary."""
    return next(held for each, held in _TYPES if each is given)


def to_arrow(frame: pd.DataFrame, *, dictionaries: bool = False) -> pa.Table:
    """Return a frame, whose columns go by their full names, as Arrow; NaN is null.

    With `dictionaries`, repeated words keep theirs: that is how Parquet writes them.
    """
    arrays = {}
    for name, values in frame.items():
        column = column_named(str(name))
        array = pa.array(values, from_pandas=True)
        if column:
            kind = arrow_type(column.type)
            keeps = dictionaries and pa.types.is_dictionary(array.type)
            array = array.cast(pa.dictionary(array.type.index_type, kind) if keeps else kind)
        arrays[str(name)] = array
    return pa.table(arrays)


def to_parts(table: pa.Table) -> dict[Column, Any]:
    """Return the columns of an Arrow table as `comparison.pairs.table.Table` joins them."""
    columns = ((column_named(name), name) for name in table.column_names)
    return {
        column: _part(column.type)(table.column(name).combine_chunks())
        for column, name in columns
        if column is not None
    }


def _part(kind: ColumnType) -> Callable[[Any], Any]:
    if kind in (TEXT, CONTENT):
        return _texts
    if kind in (CATEGORY, SIDE, STATUS):
        return _codes
    if kind is TIME:
        return _times
    return _truths if kind in (TRUTH, CERTAINTY) else _floats


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
