"""The types of columns: how raw values become an array, a block of rows at a time.

A value that does not fit its column (a score that is a word, an unknown status) becomes a missing
value and raises no error; the summary counts missing values.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.extensions import ExtensionArray

from comparison.pairs.sides import SIDES, STATUSES
from comparison.pairs.spans.values import Floats, Texts

Array = ExtensionArray | npt.NDArray[Any]

_TEXT_TYPES: Final = frozenset({str, type(None)})
_TRUTHS: Final = frozenset({bool})
_NUMBER_TYPES: Final = frozenset({float, int, type(None)})


@dataclass(frozen=True, slots=True)
class ColumnType:
    """Two functions that convert a column.

    `part` converts the raw values of one block, `join` the parts of all blocks to an array. Types
    are compared by identity. `name` is the name of the constant in this module.
    """

    part: Callable[[Sequence[Any]], Any]
    join: Callable[[Sequence[Any]], Array]
    name: str

    def __reduce__(self) -> str:
        """Pickle by name, so that a type is the same object in every process."""
        return self.name


def _is_constant(values: Sequence[Any]) -> bool:
    """Say whether all values, which have one type, are equal, as in most columns of a block.

    The first comparison ends it quickly where they differ; `count` is quick for one object.
    """
    return bool(values) and values[-1] is values[0] and values.count(values[0]) == len(values)


def _texts(values: Sequence[Any]) -> Sequence[str | None]:
    if _TEXT_TYPES.issuperset(map(type, values)):
        return values
    return [None if value is None else str(value) for value in values]


def _text_part(values: Sequence[Any]) -> ExtensionArray:
    return pd.array(values.array if isinstance(values, Texts) else _texts(values), dtype="string")


def _join_text(parts: Sequence[ExtensionArray]) -> ExtensionArray:
    joined: ExtensionArray = pd.concat([pd.Series(part) for part in parts]).array
    return joined


def _category_part(values: Sequence[Any]) -> tuple[npt.NDArray[np.intp], list[str]]:
    if _is_constant(values) and isinstance(values[0], str):
        return np.zeros(len(values), dtype=np.intp), [values[0]]
    if isinstance(values, Texts):
        encoded = values.array.dictionary_encode()
        return encoded.indices.to_numpy().astype(np.intp), encoded.dictionary.to_pylist()
    texts = np.empty(len(values), dtype=object)
    texts[:] = _texts(values)
    codes, found = pd.factorize(texts)
    return codes, list(found)


def _join_categories(
    parts: Sequence[tuple[npt.NDArray[np.intp], list[str]]], known: Sequence[str] = ()
) -> ExtensionArray:
    names = known or sorted({name for _, found in parts for name in found})
    code_of = {name: code for code, name in enumerate(names)}
    recoded = [
        np.array([*(code_of.get(name, -1) for name in found), -1], dtype=np.intp)[codes]
        for codes, found in parts
    ]
    categories = pd.CategoricalDtype(pd.Index(list(names), dtype="str"))
    return pd.Categorical.from_codes(np.concatenate(recoded), dtype=categories)


def _number_part(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    if isinstance(values, Floats):
        return values.array
    types = set(map(type, values))
    if len(types) == 1 and _is_constant(values):
        return np.full(len(values), _number(values[0]))
    if types == {str}:
        with suppress(ValueError):
            return np.array([*map(float, values)], dtype=np.float64)
    if not types <= _NUMBER_TYPES:
        values = [_number(value) for value in values]
    return np.array(values, dtype=np.float64)


def _number(value: object) -> float:
    """Read a double as OTLP/JSON may write it: NaN, infinities and int64 are strings."""
    if isinstance(value, bool) or not isinstance(value, float | int | str):
        return np.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return np.nan


def _join_counts(parts: Sequence[npt.NDArray[np.float64]]) -> ExtensionArray:
    numbers = np.concatenate(parts)
    unusable = ~(np.abs(numbers) <= 2**53)  # NaN, and integers that a double does not hold exactly
    return pd.arrays.IntegerArray(np.where(unusable, 0, numbers).astype(np.int64), unusable)


def _truth_part(values: Sequence[Any]) -> npt.NDArray[np.int8]:
    if _TRUTHS.issuperset(map(type, values)):
        return np.array(values, dtype=np.bool_).astype(np.int8)
    states = [1 if value is True else 0 if value is False else -1 for value in values]
    return np.array(states, dtype=np.int8)


def _join_truths(parts: Sequence[npt.NDArray[np.int8]]) -> ExtensionArray:
    states = np.concatenate(parts)
    return pd.arrays.BooleanArray(states == 1, states == -1)


def _join_certain(parts: Sequence[npt.NDArray[np.int8]]) -> npt.NDArray[np.bool_]:
    certain: npt.NDArray[np.bool_] = np.concatenate(parts) == 1
    return certain


def _time_part(values: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _join_times(parts: Sequence[npt.NDArray[np.int64]]) -> ExtensionArray:
    return pd.DatetimeIndex(np.concatenate(parts).view("datetime64[ns]"), tz="UTC").array


TEXT: Final = ColumnType(_text_part, _join_text, "TEXT")
"""Strings that differ from row to row: `string`."""
CATEGORY: Final = ColumnType(_category_part, _join_categories, "CATEGORY")
"""Strings that repeat: `category`, sorted."""
SIDE: Final = ColumnType(_category_part, partial(_join_categories, known=SIDES), "SIDE")
"""One of SIDES: `category` with exactly these."""
STATUS: Final = ColumnType(_category_part, partial(_join_categories, known=STATUSES), "STATUS")
"""One of STATUSES: `category` with exactly these."""
NUMBER: Final = ColumnType(_number_part, np.concatenate, "NUMBER")
"""Doubles: `float64`, NaN where missing."""
COUNT: Final = ColumnType(_number_part, _join_counts, "COUNT")
"""Whole numbers, which OTLP/JSON writes as strings: `Int64`."""
CONTENT: Final = ColumnType(_text_part, _join_text, "CONTENT")
"""Prompts and answers as text: `string`, read only if asked for."""
TRUTH: Final = ColumnType(_truth_part, _join_truths, "TRUTH")
"""True, false or missing: `boolean`."""
CERTAINTY: Final = ColumnType(_truth_part, _join_certain, "CERTAINTY")
"""True or false, where a missing value is false: `bool`."""
TIME: Final = ColumnType(_time_part, _join_times, "TIME")
"""Nanoseconds since 1970: `datetime64[ns, UTC]`."""
