"""A pair span as a row: its ids, its start, and the values of its attributes."""

from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from flags.export import attributes

REQUIRED: Final = frozenset(
    {
        attributes.FLAG_KEY,
        attributes.REQUEST_ID,
        attributes.side("primary", attributes.STATUS),
        attributes.side("candidate", attributes.STATUS),
    }
)
"""A pair span that lacks one of these is corrupt."""

SHAPE_ERRORS: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What text that is not JSON, and JSON that is not OTLP, raises."""

LAST_NANOSECOND: Final = 2**63 - 1

Shape = tuple[str, ...]
"""The attribute keys of a span, in its order: nearly all pairs of a service share a few."""

Row = list[Any]
"""Span id, trace id, start in nanoseconds, then the attribute values in the order of the shape."""

Columns = list[Sequence[Any]]
"""Rows of one shape, turned: one for each entry of a row."""

key_of = itemgetter("key")
value_of = itemgetter("value")


def pair_row(span: dict[str, Any]) -> tuple[Shape, Row]:
    """Return shape and row of a pair span. Raises one of SHAPE_ERRORS.

    This runs once per pair that no pattern knows: the loops over some thirty attributes are left
    to C.
    """
    began = int(span["startTimeUnixNano"])
    if not span["spanId"] or not 0 < began <= LAST_NANOSECOND:
        raise ValueError(began)
    pairs = span["attributes"]
    shape = tuple(map(key_of, pairs))
    held = chain.from_iterable(map(dict.values, map(value_of, pairs)))
    row = [span["spanId"], span["traceId"], began, *held]
    if len(row) != len(shape) + 3:  # an empty AnyValue, {}, is a null
        row[3:] = [only(value_of(pair)) for pair in pairs]
    return shape, row


def only(value: dict[str, Any]) -> Any:
    """Return what an OTLP AnyValue holds: it has one entry, named after the type, or none."""
    return next(iter(value.values()), None)
