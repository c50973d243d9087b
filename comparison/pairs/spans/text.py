"""Many spans in one text, compared and cut by numpy, all of them at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import orjson

from comparison.pairs.spans.values import Floats, Repeated, cut

FARTHEST: Final = 4096
"""Bytes behind the text that may be looked at: no literal is longer."""

_NEAR: Final = 40
"""Bytes in which most values end."""
_WIDEST: Final = 512
"""Bytes of the longest value, up to which values are cut out of a table of bytes."""
_NUMBER: Final = 64
"""Bytes of the longest number."""
_SEPARATOR: Final = b'},{"traceId":'
"""Where one span ends and another begins. In a text of JSON without escapes it is nowhere else."""
_SPACE, _COMMA = b" ,"
_SCALARS: Final = frozenset({int, float, bool, NoneType})
_FLOATS: Final = frozenset({float})

Places = npt.NDArray[np.intp]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SpanText:
    """Spans in a text, in order: where each of them is, and in which of the lists of spans."""

    data: bytes | bytearray
    """With FARTHEST zeros at its end."""
    starts: Places
    ends: Places
    lists: Places

    @classmethod
    def of(
        cls, data: bytes | bytearray, begins: Sequence[int], ends: Sequence[int], leap: int = 0
    ) -> Self:
        """Take the spans between these places: what lists have between their brackets.

        Spans are taken to have `leap` bytes at least. One that is shorter is taken together with
        the next one, and both are no JSON then.
        """
        first, last = np.array(begins, np.intp), np.array(ends, np.intp)
        between = np.fromiter(_places(data, begins[0], ends[-1], leap), np.intp)
        lists = np.searchsorted(last, between)
        between = between[between > first[lists]]  # a separator before a list separates no spans
        starts = np.union1d(first, between + len(b"},"))
        lists = np.searchsorted(last, starts)
        is_last = np.append(lists[1:] != lists[:-1], True)
        following = np.append(starts[1:] - 1, 0)
        return cls(data, starts, np.where(is_last, last[lists], following), lists)

    @property
    def shortest(self) -> int:
        """Return the size of the shortest span."""
        return int((self.ends - self.starts).min())

    def span(self, place: int) -> bytes:
        """Return the text of one span."""
        return bytes(self.data[self.starts[place] : self.ends[place]])

    def has(self, at: Places, literal: bytes) -> Truths:
        """Say which of the places begin with these bytes."""
        equal = self.cells(at, len(literal)) == np.frombuffer(literal, np.uint8)
        if equal.all():
            return np.ones(len(at), dtype=bool)
        matching: Truths = equal.all(axis=1)
        return matching

    def cells(self, at: Places, width: int) -> npt.NDArray[np.uint8]:
        """Return so many bytes from each of the places on, as rows of a table."""
        size = len(self.data) - width + 1
        windows: npt.NDArray[Any] = np.ndarray((size,), f"V{width}", self.data, strides=(1,))
        return windows[at].view(np.uint8).reshape(len(at), width)

    def value(self, at: Places, end: bytes, *, may_share: bool) -> "Column":
        """Return the values that begin at these places, and end before this byte.

        Whether all are the same is looked at if they `may_share` it.
        """
        first = self.data.find(end, at[0]) if may_share else -1
        same = bytes(self.data[at[0] : first + 1])
        if 0 < len(same) < FARTHEST and self.has(at, same).all():
            return Column(self, at, at + (len(same) - 1), np.ones(len(at), dtype=bool), True)
        ending = self.cells(at, _NEAR) == end[0]
        lengths = ending.argmax(axis=1)
        found = ending[np.arange(len(at)), lengths]
        for row in np.flatnonzero(~found).tolist():
            place = self.data.find(end, int(at[row]) + _NEAR)
            if place >= 0:
                found[row], lengths[row] = True, place - at[row]
        return Column(self, at, at + lengths, found, False)


def _places(data: bytes | bytearray, begin: int, end: int, leap: int) -> Iterator[int]:
    """Yield where one span ends and another begins."""
    place = data.find(_SEPARATOR, begin + leap, end)
    while place >= 0:
        yield place
        place = data.find(_SEPARATOR, place + len(_SEPARATOR) + leap, end)


@dataclass(frozen=True, slots=True)
class Column:
    """One value of each of many spans: from where to where, and whether it has an end at all."""

    text: SpanText
    starts: Places
    ends: Places
    found: Truths
    is_same: bool
    """Whether all are the same."""

    @property
    def first(self) -> bytes:
        """Return the first value, as it is written."""
        return bytes(self.text.data[self.starts[0] : self.ends[0]])

    def shared(self, quoted: bool) -> tuple[Any] | None:
        """Return the value that all have, None if they differ."""
        if not self.is_same:
            return None
        values = self.texts() if quoted else self.numbers()
        return (values[0],) if values else None

    def texts(self) -> Sequence[str]:
        """Return the values as they are."""
        data, size = self.text.data, len(self.starts)
        if self.is_same:
            return Repeated(self.first.decode(), size)
        lengths = self.ends - self.starts
        longest = int(lengths.max())
        if longest > _WIDEST:
            both = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
            return [data[start:end].decode() for start, end in both]
        cells = self.text.cells(self.starts, longest + 1)
        cells = cells[np.arange(longest + 1) < lengths[:, None]]
        return cut(cells.tobytes(), lengths)

    def numbers(self) -> Sequence[Any]:
        """Return the values as the JSON parser reads them; none if one is no number or truth."""
        lengths = self.ends - self.starts
        longest = int(lengths.max())
        if longest > _NUMBER:
            return []
        starts = self.starts[:1] if self.is_same else self.starts
        cells = self.text.cells(starts, longest + 1)
        cells[np.arange(longest + 1) >= lengths[: len(starts), None]] = _SPACE
        cells[:, -1] = _COMMA
        try:
            values: list[Any] = orjson.loads(b"[" + cells.tobytes()[:-1] + b"]")
        except orjson.JSONDecodeError:
            return []
        # A value that is no value, as `1,2` or `[1`, shows in their number or type: whatever makes
        # up for it in another value is nested.
        types = set(map(type, values))
        if len(values) != len(starts) or not types <= _SCALARS:
            return []
        if self.is_same:
            return Repeated(values[0], len(self.starts))
        return Floats(np.array(values)) if types == _FLOATS else values
