"""The columns of pairs, by the span attributes that they are read from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

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
from comparison.pairs.sides import SIDES
from flags.export import attributes
from flags.pairing.kinds import registry


@dataclass(frozen=True, slots=True)
class Column:
    """Name, type, and the output whose score, threshold or decision it is; None for others."""

    name: str
    type: ColumnType
    output: str | None = None


SPAN_COLUMNS: Final = (
    Column("span_id", TEXT),
    Column("trace_id", TEXT),
    Column("time", TIME),
)
"""The first columns of every row."""


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
"""The other columns that every frame has, by attribute."""

_CONTENT_COLUMNS: Final = {
    attributes.side(side, what): Column(f"{side}_{what}", column_type)
    for side in SIDES
    for what, column_type in (
        (attributes.ITEMS, COUNT),
        (attributes.LENGTH, COUNT),
        (attributes.FIRST_ITEM, NUMBER),
        (attributes.DIGEST, TEXT),
    )
}
"""The columns of streams and of answers of bytes; a frame has them only if a pair does."""

_UNIT_COLUMNS: Final = {
    attributes.UNIT: Column("unit", TEXT),
    attributes.DRAWN: Column("drawn", TEXT),
    attributes.STICKINESS: Column("stickiness", CATEGORY),
}
"""The columns of the unit of a request; a frame has them only if a pair does."""

_PROMPT: Final = {attributes.INPUT_MESSAGES: Column("prompt", CONTENT)}

_SHADOW_COLUMNS: Final = {
    attributes.SHADOW_BATCH: Column("shadow_batch", COUNT),
    attributes.SHADOW_AGREES: Column("batch_agrees", TRUTH),
    attributes.SHADOW_SHARE: Column("shadow_share", NUMBER),
}
"""The columns of shadows in batches or under a budget; a frame has them only if a pair does."""

_OPTIONAL: Final = {**_CONTENT_COLUMNS, **_UNIT_COLUMNS, **_PROMPT, **_SHADOW_COLUMNS}

_BY_NAME: Final = {
    column.name: column
    for column in (*SPAN_COLUMNS, *ATTRIBUTE_COLUMNS.values(), *_OPTIONAL.values())
}

_OUTPUT_TYPES: Final[dict[str, ColumnType]] = {
    attributes.SCORE: NUMBER,
    attributes.THRESHOLD: NUMBER,
    attributes.DECISION: TRUTH,
}

_TYPE_BY_NAME: Final[dict[str, ColumnType]] = {
    "word": CATEGORY,
    "text": TEXT,
    "number": NUMBER,
    "count": COUNT,
    "truth": TRUTH,
}

_KIND_COLUMNS: Final = {what: _TYPE_BY_NAME[name] for what, name in registry.columns().items()}
"""The columns of outputs that are not scores; a frame has them only if a pair does."""


def column_of(attribute: str) -> Column | None:
    """Return the column for an attribute of a pair span; None for attributes that are not ours."""
    if known := ATTRIBUTE_COLUMNS.get(attribute) or _OPTIONAL.get(attribute):
        return known
    for side in SIDES:
        for what, column_type in _OUTPUT_TYPES.items():
            prefix = attributes.side(side, what) + "."
            if attribute.startswith(prefix):
                output = attribute.removeprefix(prefix)
                return Column(f"{side}_{what}.{output}", column_type, output)
        if attribute.startswith(prefix := attributes.side(side, attributes.TEXT) + "."):
            return Column(text_column(side, attribute.removeprefix(prefix)), CONTENT)
        start, _dot, rest = attribute.removeprefix(f"migration.{side}.").partition(".")
        if start in _KIND_COLUMNS and rest and attribute.startswith(f"migration.{side}."):
            return Column(f"{side}_{start}.{rest}", _KIND_COLUMNS[start])
    for namespace, name, column_type in (
        (attributes.SEGMENT, "segment", CATEGORY),
        (attributes.FEATURE, "feature", NUMBER),
    ):
        if attribute.startswith(namespace + "."):
            return Column(name + attribute.removeprefix(namespace), column_type)
    return None


def column_named(name: str) -> Column | None:
    """Return the column of a name (for outputs the full name); None if there is none."""
    if known := _BY_NAME.get(name):
        return known
    start, dot, rest = name.partition(".")
    if not dot or not rest:
        return None
    if start in ("segment", "feature"):
        return Column(name, CATEGORY if start == "segment" else NUMBER)
    side, underscore, what = start.partition("_")
    if side in SIDES and underscore and what in _OUTPUT_TYPES:
        return Column(name, _OUTPUT_TYPES[what], rest)
    if side in SIDES and what == attributes.TEXT:
        return Column(name, CONTENT)
    if side in SIDES and underscore and what in _KIND_COLUMNS:
        return Column(name, _KIND_COLUMNS[what])
    return None


def text_column(side: str, output: str) -> str:
    """Return the name of the column with a side's answer as text."""
    return f"{side}_{attributes.TEXT}.{output}"


def holds_text(name: str) -> bool:
    """Say whether the column of this name holds prompts or answers as text."""
    column = column_named(name)
    return column is not None and column.type is CONTENT


def output_columns(output: str) -> tuple[Column, ...]:
    """Return the columns of a score: score, threshold and decision of each side."""
    return tuple(
        Column(f"{side}_{what}.{output}", column_type, output)
        for what, column_type in _OUTPUT_TYPES.items()
        for side in SIDES
    )


def outputs_with(
    columns: Iterable[str], *what: str, sides: Sequence[str] = SIDES
) -> tuple[str, ...]:
    """Return the outputs that have a column of this sort (`score`), in the order of columns."""
    starts = tuple(f"{side}_{each}." for side in sides for each in what)
    found = (name.partition(".")[2] for name in columns if name.startswith(starts))
    return tuple(dict.fromkeys(found))


def short_name(column: Column) -> str:
    """Return the name that a column of the first output has in a frame: `primary_score`."""
    return column.name.removesuffix(f".{column.output}")
