"""Lines of pair files that have nothing but spans between the same beginning and end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from comparison.pairs.spans.patterns import SpanPatterns
from comparison.pairs.spans.row import SHAPE_ERRORS, Columns, Shape
from comparison.pairs.spans.text import SpanText
from flags.export import attributes

MOST_FRAMES: Final = 16
"""Kept at a time, those that were met last first: about one for each worker."""

_BEGIN: Final = b'"spans":['
_END: Final = b"}]"
_DEPTH: Final = 4
"""How many lists of objects end where the list of spans does, at most."""
_MARK: Final = b"0"
_FIRST_PRINTABLE: Final = 0x20
_AT_A_TIME: Final = 2**18
"""Bytes that are looked at together: few enough for the cache."""


@dataclass(frozen=True, slots=True)
class LineFrame:
    """What stands before and after the spans of a line, and the resource that it names."""

    before: bytes
    after: bytes
    resource: dict[str, Any]

    def within(self, data: bytearray, start: int, end: int) -> tuple[int, int] | None:
        """Return where a line's spans begin and end; None if it has another frame, or no spans."""
        first, last = start + len(self.before), end - len(self.after)
        if first < last and data.startswith(self.before, start, end):
            return (first, last) if data.endswith(self.after, start, end) else None
        return None


@dataclass(frozen=True, slots=True)
class ParsedSpan:
    """A span that the JSON parser has read: from which line, and of which resource."""

    line: int
    span: Any
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadLines:
    """What was read of some lines: columns of pairs by shape, spans, and the lines left over."""

    columns: list[tuple[Shape, Columns]] = field(default_factory=list)
    spans: list[ParsedSpan] = field(default_factory=list)
    others: list[int] = field(default_factory=list)


class SpanLines:
    """The frames of the lines seen lately, and the patterns of their spans."""

    def __init__(self) -> None:
        self._frames: list[LineFrame] = []
        self._leap = 0
        self.patterns = SpanPatterns()

    def read(self, data: bytearray, starts: Sequence[int], ends: Sequence[int]) -> ReadLines:
        """Read those lines of a text that are of a frame; the others are left to who knows JSON.

        The text has FARTHEST zeros at its end.
        """
        framed: dict[int, _Framed] = {}
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            found = self._within(data, start, end)
            if found is not None:
                framed[number] = found
        if framed and not _is_plain(data, starts[0], ends[-1], len(ends) - 1):
            framed = {
                number: each
                for number, each in framed.items()
                if _is_plain(data, each.begin, each.end)
            }
        while framed:
            columns, spans, broken = self._read(data, framed)
            if not broken:
                others = [number for number in range(len(ends)) if number not in framed]
                return ReadLines(columns, spans, others)
            self._leap = 0  # perhaps shorter spans have come
            for number in broken:
                del framed[number]
        return ReadLines(others=[*range(len(ends))])

    def _read(
        self, data: bytearray, framed: dict[int, "_Framed"]
    ) -> tuple[list[tuple[Shape, Columns]], list[ParsedSpan], set[int]]:
        """Return columns and spans, and the lines of which a span is no JSON."""
        lists = [*framed.values()]
        begins, ends = [each.begin for each in lists], [each.end for each in lists]
        text = SpanText.of(data, begins, ends, self._leap)
        self._leap = text.shortest * 3 // 4  # to look for the end of each takes a tenth of all
        columns, left = self.patterns.match(text)
        numbers = [*framed]
        spans, broken = list[ParsedSpan](), set[int]()
        for place in np.sort(left).tolist():
            found = int(text.lists[place])
            try:
                span = orjson.loads(text.span(place))
            except orjson.JSONDecodeError:
                broken.add(numbers[found])
            else:
                spans.append(ParsedSpan(numbers[found], span, lists[found].frame.resource))
        return columns, spans, broken

    def _within(self, data: bytearray, start: int, end: int) -> "_Framed | None":
        """Return the frame of a line, and where its spans are; None if it has none."""
        for place, frame in enumerate(self._frames):
            found = frame.within(data, start, end)
            if found is not None:
                if place:
                    self._frames.insert(0, self._frames.pop(place))
                return _Framed(frame, *found)
        new = _frame_of(bytes(data[start:end]))
        if new is None:
            return None
        self._frames.insert(0, new)
        del self._frames[MOST_FRAMES:]
        found = new.within(data, start, end)
        return None if found is None else _Framed(new, *found)


@dataclass(frozen=True, slots=True)
class _Framed:
    """Where the spans of a line are."""

    frame: LineFrame
    begin: int
    end: int


def _is_plain(data: bytearray, begin: int, end: int, breaks: int = 0) -> bool:
    """Say whether text has no escapes, nor anything that no string of JSON has but line breaks.

    Then a quote is the begin or the end of a string, and nothing else.
    """
    if data.find(b"\\", begin, end) >= 0:
        return False
    codes = np.frombuffer(data, np.uint8)[begin:end]
    for place in range(0, len(codes), _AT_A_TIME):
        breaks -= int(np.count_nonzero(codes[place : place + _AT_A_TIME] < _FIRST_PRINTABLE))
    if breaks < 0:
        return False
    try:
        return data.isascii() or bool(data[begin:end].decode())
    except UnicodeDecodeError:
        return False


def _frame_of(line: bytes) -> LineFrame | None:
    """Return the frame of a line that has the spans of one resource and our scope, else None.

    With a mark in the place of the spans, it is read as a line whose only span is that mark.
    """
    begin = line.find(_BEGIN) + len(_BEGIN)
    end = len(line)
    for _ in range(_DEPTH if begin >= len(_BEGIN) else 0):
        end = line.rfind(_END, begin, end)
        if end < 0:
            break
        frame = _marked(line[:begin], line[end + 1 :])
        if frame is not None:
            return frame
    return None


def _marked(before: bytes, after: bytes) -> LineFrame | None:
    try:
        [resource] = orjson.loads(before + _MARK + after)["resourceSpans"]
        [scope] = resource["scopeSpans"]
        is_ours = scope["spans"] == [0] and scope["scope"]["name"] == attributes.SCOPE
    except SHAPE_ERRORS:
        return None
    return LineFrame(before, after, resource) if is_ours else None
