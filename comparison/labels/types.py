"""The types of labels: truths, numbers or names of classes, decided by all words of a column.

Truths (true or false, yes or no, 1 or 0, +1 or -1) fit any kind of output; numbers fit any kind but
a score; other words fit neither a score nor a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from comparison.errors import LabelsUnreadableError
from comparison.labels.files import LabelFile


class LabelType(StrEnum):
    """The type of the labels of a column."""

    TRUTH = "truth"
    NUMBER = "number"
    WORD = "word"


ARROW: Final = {
    LabelType.TRUTH: pa.bool_(),
    LabelType.NUMBER: pa.float64(),
    LabelType.WORD: pa.string(),
}

TRUE: Final = r"^(?i:true|yes|\+?1(\.0*)?)$"
FALSE: Final = r"^(?i:false|no|-1(\.0*)?|[+-]?0(\.0*)?)$"
_MINUS: Final = r"^-1(\.0*)?$"
_OTHER_FALSE: Final = r"^(?i:false|no|[+-]?0(\.0*)?)$"
_NUMBER: Final = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_CODE: Final = r"^([+-]?0\d|\d{16,}$)"
"""A number with a leading zero, or with more digits than a double keeps, is a name."""

_WANTED: Final = {
    LabelType.TRUTH: "expected true or false, yes or no, 1 or 0, +1 or -1; empty: not known yet",
    LabelType.NUMBER: "expected a number; empty: not known yet",
}


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """The labels of a column by file, and the errors why it does not have other types."""

    kind: LabelType
    parts: tuple[pa.ChunkedArray, ...]
    refusals: Mapping[LabelType, LabelsUnreadableError] = field(default_factory=dict)


def typed_column(files: Sequence[LabelFile], column: str, values: Mapping[str, str]) -> TypedColumn:
    """Find the type of a column in all files, and convert it. `values` maps words to others."""
    parts = [_words(file, column, values) for file in files]
    if all(pa.types.is_boolean(each.type) or pa.types.is_null(each.type) for each in parts):
        return TypedColumn(LabelType.TRUTH, tuple(each.cast(pa.bool_()) for each in parts))
    words = [each.cast(pa.string()) for each in parts]
    refusals = {
        kind: error
        for kind in (LabelType.TRUTH, LabelType.NUMBER)
        if (error := _refusal(files, words, column, kind)) is not None
    }
    codes = _any(words, _CODE)
    if LabelType.TRUTH not in refusals and not (_any(words, _MINUS) and _any(words, _OTHER_FALSE)):
        truths = (pc.match_substring_regex(each, TRUE) for each in words)
        return TypedColumn(LabelType.TRUTH, tuple(truths))
    if LabelType.NUMBER in refusals or codes:
        return TypedColumn(LabelType.WORD, tuple(words), refusals)
    numbers = (each.cast(pa.float64()) for each in words)
    return TypedColumn(LabelType.NUMBER, tuple(numbers), refusals)


def _words(file: LabelFile, column: str, values: Mapping[str, str]) -> pa.ChunkedArray:
    if column not in file.columns:
        return pa.chunked_array([pa.nulls(len(file))])
    words = file.words(column)
    if not values or pa.types.is_boolean(words.type):
        return words
    place = pc.index_in(words, value_set=pa.array(list(values)))
    mapped = pc.take(pa.array(list(values.values())), place)
    return pc.coalesce(mapped, words)


def _refusal(
    files: Sequence[LabelFile], words: Sequence[Any], column: str, kind: LabelType
) -> LabelsUnreadableError | None:
    """Return the error of the first word that does not have a type, None without one."""
    for file, each in zip(files, words, strict=True):
        if column not in file.columns:
            continue
        if kind is LabelType.NUMBER:
            fits = pc.match_substring_regex(each, _NUMBER)
        else:
            fits = pc.or_(*(pc.match_substring_regex(each, one) for one in (TRUE, FALSE)))
        wrong = pc.fill_null(pc.invert(fits), False)
        if error := file.refusal(wrong, column, _WANTED[kind]):
            return error
    return None


def _any(words: Sequence[Any], pattern: str) -> bool:
    found = (pc.any(pc.match_substring_regex(each, pattern)).as_py() for each in words)
    return reduce(lambda one, other: bool(one or other), found, False)
