"""A pair span as a row: its ids, its start, and the values of its attributes."""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
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


class Repeated(Sequence[Any]):
    """One value, so many times."""

    __slots__ = ("_size", "_value")

    def __init__(self, value: Any, size: int) -> None:
        self._value = value
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Repeated(self._value, len(range(self._size)[place]))
        if not -self._size <= place < self._size:
            raise IndexError(place)
        return self._value

    def __iter__(self) -> Iterator[Any]:
        return repeat(self._value, self._size)

    def count(self, value: Any) -> int:
        """Return how often a value is in it."""
        return self._size if value == self._value else 0


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
