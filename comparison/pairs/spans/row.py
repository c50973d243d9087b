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
"""A pair span that lacks one of these attributes is corrupt."""

SHAPE_ERRORS: Final = (AttributeError, KeyError, TypeError, ValueError)
"""The exceptions from reading text that is not JSON, or JSON that is not OTLP."""

LAST_NANOSECOND: Final = 2**63 - 1

Shape = tuple[str, ...]
"""The attribute keys of a span, in its order; nearly all pairs of a service have few shapes."""

Row = list[Any]
"""Span id, trace id, start in nanoseconds, then the attribute values in the order of the shape."""

Columns = list[Sequence[Any]]
"""Rows of one shape, transposed: one column for each entry of a row."""

key_of = itemgetter("key")
value_of = itemgetter("value")


def pair_row(span: dict[str, Any]) -> tuple[Shape, Row]:
    """Return shape and row of a pair span. Raises one of SHAPE_ERRORS.

    This runs once for each pair that no pattern matches, so the loops over its attributes, about
    thirty, run in C.
    """
    start = int(span["startTimeUnixNano"])
    if not span["spanId"] or not 0 < start <= LAST_NANOSECOND:
        raise ValueError(start)
    attribute_list = span["attributes"]
    shape = tuple(map(key_of, attribute_list))
    values = chain.from_iterable(map(dict.values, map(value_of, attribute_list)))
    row = [span["spanId"], span["traceId"], start, *values]
    if len(row) != len(shape) + 3:  # an empty AnyValue, {}, is a null
        row[3:] = [only_value(value_of(each)) for each in attribute_list]
    return shape, row


def only_value(value: dict[str, Any]) -> Any:
    """Return the content of an OTLP AnyValue: the one entry, named after its type, or None."""
    return next(iter(value.values()), None)
