"""The columns of pairs: attribute values, a block of rows at a time, with documented dtypes.

A value that does not fit its column (a score that is a word, a status nobody knows) becomes a
missing value: the summary counts those, nothing here stops at them.
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

from comparison.pairs.values import Floats, Texts
from flags.export import attributes
from flags.pairing.kinds import registry

SIDES: Final = ("primary", "candidate")

CALLED: Final = frozenset({"ok", "error", "timeout"})
FAILED: Final = frozenset({"error", "timeout"})
"""Statuses of a side that was called, and of those, the ones without an answer."""
STATUSES: Final = ("ok", "error", "timeout", "shed", "skipped")

Array = ExtensionArray | npt.NDArray[Any]

_TEXT_TYPES: Final = frozenset({str, type(None)})
_TRUTHS: Final = frozenset({bool})
_NUMBER_TYPES: Final = frozenset({float, int, type(None)})


@dataclass(frozen=True, slots=True)
class Kind:
    """Convert one column: `part` the raw values of a block, `join` the parts of all blocks."""

    part: Callable[[Sequence[Any]], Any]
    join: Callable[[Sequence[Any]], Array]
    name: str

    def __reduce__(self) -> str:
        """Let each be one and the same in all processes."""
        return self.name


def _is_one(values: Sequence[Any]) -> bool:
    """Say whether values of one type are one and the same, as in most columns of a block.

    That is soon said where it is not so, and where one object is repeated.
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
    if _is_one(values) and isinstance(values[0], str):
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
    if len(types) == 1 and _is_one(values):
        return np.full(len(values), _number(values[0]))
    if types == {str}:
        with suppress(ValueError):
            return np.array([*map(float, values)], dtype=np.float64)
    if not types <= _NUMBER_TYPES:
        values = [_number(value) for value in values]
    return np.array(values, dtype=np.float64)


def _number(value: object) -> float:
    """Read a double as OTLP/JSON may write it: NaN and infinities, like int64, are strings."""
    if isinstance(value, bool) or not isinstance(value, float | int | str):
        return np.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return np.nan


def _join_counts(parts: Sequence[npt.NDArray[np.float64]]) -> ExtensionArray:
    numbers = np.concatenate(parts)
    unusable = ~(np.abs(numbers) <= 2**53)  # beyond it doubles are no longer exact; NaN too
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


TEXT: Final = Kind(_text_part, _join_text, "TEXT")
"""Strings that differ from row to row: `string`."""
CATEGORY: Final = Kind(_category_part, _join_categories, "CATEGORY")
"""Strings that repeat: `category`, sorted."""
SIDE: Final = Kind(_category_part, partial(_join_categories, known=SIDES), "SIDE")
STATUS: Final = Kind(_category_part, partial(_join_categories, known=STATUSES), "STATUS")
"""Words of a closed list: `category` with exactly these."""
NUMBER: Final = Kind(_number_part, np.concatenate, "NUMBER")
"""Doubles: `float64`, NaN where missing."""
COUNT: Final = Kind(_number_part, _join_counts, "COUNT")
"""Whole numbers, which OTLP/JSON writes as strings: `Int64`."""
CONTENT: Final = Kind(_text_part, _join_text, "CONTENT")
"""Texts that callers wrote or read: `string`, held only where somebody asks for them."""
TRUTH: Final = Kind(_truth_part, _join_truths, "TRUTH")
"""Yes, no or missing: `boolean`."""
CERTAINTY: Final = Kind(_truth_part, _join_certain, "CERTAINTY")
"""Yes or not, missing taken as not: `bool`."""
TIME: Final = Kind(_time_part, _join_times, "TIME")
"""Nanoseconds since 1970: `datetime64[ns, UTC]`."""


@dataclass(frozen=True, slots=True)
class Column:
    """Name a column, its kind, and, for one of several compared numbers, its output."""

    name: str
    kind: Kind
    output: str | None = None


SPAN_COLUMNS: Final = (
    Column("span_id", TEXT),
    Column("trace_id", TEXT),
    Column("time", TIME),
)
"""What every row begins with."""


def _side_columns(side: str) -> dict[str, Column]:
    return {
        attributes.side(side, attributes.STATUS): Column(f"{side}_status", STATUS),
        attributes.side(side, attributes.DURATION): Column(f"{side}_duration", NUMBER),
        attributes.side(side, attributes.MODEL): Column(f"{side}_model", CATEGORY),
        attributes.side(side, attributes.SIDE_ERROR): Column(f"{side}_error", CATEGORY),
    }


ATTRIBUTE_COLUMNS: Final[dict[str, Column]] = {
    attributes.REQUEST_ID: Column("request_id", TEXT),
    attributes.FLAG_KEY: Column("flag", CATEGORY),
    attributes.API: Column("api", CATEGORY),
    attributes.ACTIVE: Column("active", SIDE),
    attributes.SERVED: Column("served", SIDE),
    attributes.FALLBACK: Column("fallback", CERTAINTY),
    attributes.FLAG_REASON: Column("reason", CATEGORY),
    attributes.FLAG_VARIANT: Column("variant", CATEGORY),
    attributes.ERROR_TYPE: Column("flag_error", CATEGORY),
    attributes.ROLLOUT: Column("rollout", NUMBER),
    attributes.WORKER_ID: Column("worker", CATEGORY),
    attributes.SEQUENCE: Column("sequence", COUNT),
    **_side_columns("primary"),
    **_side_columns("candidate"),
}
"""The columns that every frame has, by the attribute they are read from."""

_CONTENT_COLUMNS: Final = {
    attributes.side(side, what): Column(f"{side}_{what}", kind)
    for side in SIDES
    for what, kind in (
        (attributes.ITEMS, COUNT),
        (attributes.LENGTH, COUNT),
        (attributes.FIRST_ITEM, NUMBER),
        (attributes.DIGEST, TEXT),
    )
}
"""The columns of streams and of answers of bytes, which only frames with such pairs have."""

_UNIT_COLUMNS: Final = {
    attributes.UNIT: Column("unit", TEXT),
    attributes.DRAWN: Column("drawn", TEXT),
    attributes.STICKINESS: Column("stickiness", CATEGORY),
}
"""The columns of who a request belongs to, which only frames with such pairs have."""

_PROMPT: Final = {attributes.INPUT_MESSAGES: Column("prompt", CONTENT)}

_SHADOW_COLUMNS: Final = {
    attributes.SHADOW_BATCH: Column("shadow_batch", COUNT),
    attributes.SHADOW_AGREES: Column("batch_agrees", TRUTH),
    attributes.SHADOW_SHARE: Column("shadow_share", NUMBER),
}
"""The columns of shadows in batches or under a budget, which only frames with such pairs have."""

_OPTIONAL: Final = {**_CONTENT_COLUMNS, **_UNIT_COLUMNS, **_PROMPT, **_SHADOW_COLUMNS}

_NAMED: Final = {
    column.name: column
    for column in (*SPAN_COLUMNS, *ATTRIBUTE_COLUMNS.values(), *_OPTIONAL.values())
}

_OUTPUT_KINDS: Final[dict[str, Kind]] = {
    attributes.SCORE: NUMBER,
    attributes.THRESHOLD: NUMBER,
    attributes.DECISION: TRUTH,
}

_HELD: Final[dict[str, Kind]] = {
    "word": CATEGORY,
    "text": TEXT,
    "number": NUMBER,
    "count": COUNT,
    "truth": TRUTH,
}

_KIND_COLUMNS: Final = {what: _HELD[column] for what, column in registry.columns().items()}
"""What outputs that are not numbers record, which only frames with such pairs have."""


def column_of(attribute: str) -> Column | None:
    """Return the column that holds an attribute of a pair span; None for somebody else's."""
    if known := ATTRIBUTE_COLUMNS.get(attribute) or _OPTIONAL.get(attribute):
        return known
    for side in SIDES:
        for what, kind in _OUTPUT_KINDS.items():
            prefix = attributes.side(side, what) + "."
            if attribute.startswith(prefix):
                output = attribute.removeprefix(prefix)
                return Column(f"{side}_{what}.{output}", kind, output)
        if attribute.startswith(prefix := attributes.side(side, attributes.TEXT) + "."):
            return Column(text_column(side, attribute.removeprefix(prefix)), CONTENT)
        start, _dot, rest = attribute.removeprefix(f"migration.{side}.").partition(".")
        if start in _KIND_COLUMNS and rest and attribute.startswith(f"migration.{side}."):
            return Column(f"{side}_{start}.{rest}", _KIND_COLUMNS[start])
    for namespace, name, kind in (
        (attributes.SEGMENT, "segment", CATEGORY),
        (attributes.FEATURE, "feature", NUMBER),
    ):
        if attribute.startswith(namespace + "."):
            return Column(name + attribute.removeprefix(namespace), kind)
    return None


def column_named(name: str) -> Column | None:
    """Return the column that goes by a name, those of outputs by their full one; None if none."""
    if known := _NAMED.get(name):
        return known
    start, dot, rest = name.partition(".")
    if not dot or not rest:
        return None
    if start in ("segment", "feature"):
        return Column(name, CATEGORY if start == "segment" else NUMBER)
    side, underscore, what = start.partition("_")
    if side in SIDES and underscore and what in _OUTPUT_KINDS:
        return Column(name, _OUTPUT_KINDS[what], rest)
    if side in SIDES and what == attributes.TEXT:
        return Column(name, CONTENT)
    if side in SIDES and underscore and what in _KIND_COLUMNS:
        return Column(name, _KIND_COLUMNS[what])
    return None


def text_column(side: str, output: str) -> str:
    """Return the name of the column of what a side answered."""
    return f"{side}_{attributes.TEXT}.{output}"


def holds_text(name: str) -> bool:
    """Say whether the column of this name holds texts that callers wrote or read."""
    column = column_named(name)
    return column is not None and column.kind is CONTENT


def output_columns(output: str) -> tuple[Column, ...]:
    """Return the columns of a compared number: score, threshold and label of each side."""
    return tuple(
        Column(f"{side}_{what}.{output}", kind, output)
        for what, kind in _OUTPUT_KINDS.items()
        for side in SIDES
    )


def short_name(column: Column) -> str:
    """Return what a column of the first output is called in a frame: `primary_score`."""
    return column.name.removesuffix(f".{column.output}")
