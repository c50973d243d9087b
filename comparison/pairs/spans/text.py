"""Many spans in one text, which numpy compares and cuts all at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import orjson

from comparison.pairs.spans.values import Floats, Repeated, split_text

PADDING_BYTES: Final = 4096
"""Number of zeros after the text, so that comparisons may read beyond it; no literal is longer."""

_USUAL_WIDTH: Final = 40
"""Most values are shorter than this many bytes."""
_MAX_TABLE_WIDTH: Final = 512
"""Values up to this many bytes are cut out of a table of bytes; longer ones one by one."""
_MAX_NUMBER_WIDTH: Final = 64
"""Bytes of the longest number that is read."""
_SEPARATOR: Final = b'},{"traceId":'
"""The text between two spans; in JSON without escapes it occurs nowhere else."""
_SPACE, _COMMA = b" ,"
_SCALARS: Final = frozenset({int, float, bool, NoneType})
_FLOATS: Final = frozenset({float})

Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SpanText:
    """The positions of spans in a text, in order, and for each span the index of its list."""

    data: bytes | bytearray
    """The text, with PADDING_BYTES zeros at its end."""
    starts: Indices
    ends: Indices
    lists: Indices

    @classmethod
    def of(
        cls,
        data: bytes | bytearray,
        begins: Sequence[int],
        ends: Sequence[int],
        min_span_bytes: int = 0,
    ) -> Self:
        """Find the spans in lists of spans, whose contents are from `begins` to `ends`.

        Spans are assumed to have at least `min_span_bytes`. A shorter span is not separated from
        the next one, and the text of both is not valid JSON.
        """
        first, last = np.array(begins, np.intp), np.array(ends, np.intp)
        separators = np.fromiter(_separators(data, begins[0], ends[-1], min_span_bytes), np.intp)
        lists = np.searchsorted(last, separators)
        separators = separators[separators > first[lists]]  # without text between two lists
        starts = np.union1d(first, separators + len(b"},"))
        lists = np.searchsorted(last, starts)
        is_last = np.append(lists[1:] != lists[:-1], True)
        following = np.append(starts[1:] - 1, 0)
        return cls(data, starts, np.where(is_last, last[lists], following), lists)

    @property
    def shortest(self) -> int:
        """Return the size of the shortest span."""
        return int((self.ends - self.starts).min())

    def span(self, row: int) -> bytes:
        """Return the text of one span."""
        return bytes(self.data[self.starts[row] : self.ends[row]])

    def starts_with(self, at: Indices, literal: bytes) -> Mask:
        """Say at which of the positions `at` the text continues with these bytes."""
        equal = self.byte_rows(at, len(literal)) == np.frombuffer(literal, np.uint8)
        if equal.all():
            return np.ones(len(at), dtype=bool)
        matching: Mask = equal.all(axis=1)
        return matching

    def byte_rows(self, at: Indices, width: int) -> npt.NDArray[np.uint8]:
        """Return `width` bytes from each position on, as rows of a table."""
        size = len(self.data) - width + 1
        windows: npt.NDArray[Any] = np.ndarray((size,), f"V{width}", self.data, strides=(1,))
        return windows[at].view(np.uint8).reshape(len(at), width)

    def value(self, at: Indices, end: bytes, *, may_be_shared: bool) -> "ValueColumn":
        """Return the values that begin at these positions and end before the byte `end`.

        With `may_be_shared`, all values are first compared with the first one.
        """
        first_end = self.data.find(end, at[0]) if may_be_shared else -1
        first = bytes(self.data[at[0] : first_end + 1])
        if 0 < len(first) < PADDING_BYTES and self.starts_with(at, first).all():
            return ValueColumn(self, at, at + (len(first) - 1), np.ones(len(at), dtype=bool), True)
        is_end = self.byte_rows(at, _USUAL_WIDTH) == end[0]
        lengths = is_end.argmax(axis=1)
        has_end = is_end[np.arange(len(at)), lengths]
        for row in np.flatnonzero(~has_end).tolist():
            position = self.data.find(end, int(at[row]) + _USUAL_WIDTH)
            if position >= 0:
                has_end[row], lengths[row] = True, position - at[row]
        return ValueColumn(self, at, at + lengths, has_end, False)


def _separators(
    data: bytes | bytearray, begin: int, end: int, min_span_bytes: int
) -> Iterator[int]:
    """Yield the positions of the separators of spans."""
    position = data.find(_SEPARATOR, begin + min_span_bytes, end)
    while position >= 0:
        yield position
        position = data.find(_SEPARATOR, position + len(_SEPARATOR) + min_span_bytes, end)


@dataclass(frozen=True, slots=True)
class ValueColumn:
    """The positions of one value in each of many spans; `has_end` is False if no end was found."""

    text: SpanText
    starts: Indices
    ends: Indices
    has_end: Mask
    is_shared: bool
    """Whether all spans are known to have the same value."""

    @property
    def first(self) -> bytes:
        """Return the text of the first value."""
        return bytes(self.text.data[self.starts[0] : self.ends[0]])

    def shared(self, quoted: bool) -> tuple[Any] | None:
        """Return the value that all spans have, None if they differ."""
        if not self.is_shared:
            return None
        values = self.texts() if quoted else self.numbers()
        return (values[0],) if values else None

    def texts(self) -> Sequence[str]:
        """Return the values as strings; without escapes, JSON strings are their own content."""
        data, size = self.text.data, len(self.starts)
        if self.is_shared:
            return Repeated(self.first.decode(), size)
        lengths = self.ends - self.starts
        longest = int(lengths.max())
        if longest > _MAX_TABLE_WIDTH:
            ranges = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
            return [data[start:end].decode() for start, end in ranges]
        rows = self.text.byte_rows(self.starts, longest + 1)
        values = rows[np.arange(longest + 1) < lengths[:, None]]
        return split_text(values.tobytes(), lengths)

    def numbers(self) -> Sequence[Any]:
        """Return the values as the JSON parser reads them; none if one is not a JSON scalar."""
        lengths = self.ends - self.starts
        longest = int(lengths.max())
        if longest > _MAX_NUMBER_WIDTH:
            return []
        starts = self.starts[:1] if self.is_shared else self.starts
        rows = self.text.byte_rows(starts, longest + 1)
        rows[np.arange(longest + 1) >= lengths[: len(starts), None]] = _SPACE
        rows[:, -1] = _COMMA
        try:
            values: list[Any] = orjson.loads(b"[" + rows.tobytes()[:-1] + b"]")
        except orjson.JSONDecodeError:
            return []
        # An invalid value, such as `1,2` or `[1`, changes the number or the type of the values: the
        # whole text is only JSON if another value closes the bracket, and then one is nested.
        types = set(map(type, values))
        if len(values) != len(starts) or not types <= _SCALARS:
            return []
        if self.is_shared:
            return Repeated(values[0], len(self.starts))
        return Floats(np.array(values)) if types == _FLOATS else values
