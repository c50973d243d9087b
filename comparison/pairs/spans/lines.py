"""Lines of pair files that differ only in their spans: the text before and after is the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from comparison.pairs.spans.patterns import SpanPatterns
from comparison.pairs.spans.row import SHAPE_ERRORS, Columns, Shape
from comparison.pairs.spans.text import SpanText
from flags.export import attributes

MAX_FRAMES: Final = 16
"""Frames that are kept, the most recently used first: there is about one for each worker."""

_BEGIN: Final = b'"spans":['
_END: Final = b"}]"
_DEPTH: Final = 4
"""How many `}]`, from the end of the line, are tried as the end of the list of spans."""
_MARK: Final = b"0"
_FIRST_PRINTABLE: Final = 0x20
_CHUNK_BYTES: Final = 2**18
"""Bytes that are checked together: few enough for the cache."""


@dataclass(frozen=True, slots=True)
class LineFrame:
    """The text before and after the spans of a line, and the resource in it."""

    before: bytes
    after: bytes
    resource: dict[str, Any]

    def within(self, data: bytearray, start: int, end: int) -> tuple[int, int] | None:
        """Return begin and end of a line's spans; None if it has another frame, or no spans."""
        first, last = start + len(self.before), end - len(self.after)
        if first < last and data.startswith(self.before, start, end):
            return (first, last) if data.endswith(self.after, start, end) else None
        return None


@dataclass(frozen=True, slots=True)
class ParsedSpan:
    """A span that the JSON parser has read, with the number of its line and its resource."""

    line: int
    span: Any
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadLines:
    """The result of reading lines: columns of pairs by shape, parsed spans, and unread lines.

    `others` has the numbers of the lines that the JSON parser has to read as a whole.
    """

    columns: list[tuple[Shape, Columns]] = field(default_factory=list)
    spans: list[ParsedSpan] = field(default_factory=list)
    others: list[int] = field(default_factory=list)


class SpanLines:
    """Read lines by the frames of recent lines and the patterns of their spans."""

    def __init__(self) -> None:
        self._frames: list[LineFrame] = []
        self._min_span_bytes = 0
        self.patterns = SpanPatterns()

    def read(self, data: bytearray, starts: Sequence[int], ends: Sequence[int]) -> ReadLines:
        """Read the lines of a text that have a frame; the JSON parser has to read the others.

        Lines are from `starts` to `ends`. The text has PADDING_BYTES zeros at its end.
        """
        framed: dict[int, _SpanList] = {}
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            span_list = self._span_list(data, start, end)
            if span_list is not None:
                framed[number] = span_list
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
            self._min_span_bytes = 0  # shorter spans may have come
            for number in broken:
                del framed[number]
        return ReadLines(others=[*range(len(ends))])

    def _read(
        self, data: bytearray, framed: dict[int, "_SpanList"]
    ) -> tuple[list[tuple[Shape, Columns]], list[ParsedSpan], set[int]]:
        """Return columns, parsed spans, and the lines with a span that is not JSON."""
        lists = [*framed.values()]
        begins, ends = [each.begin for each in lists], [each.end for each in lists]
        text = SpanText.of(data, begins, ends, self._min_span_bytes)
        # Without a minimum, the search for the ends of spans takes a tenth of the whole time.
        self._min_span_bytes = text.shortest * 3 // 4
        columns, unmatched = self.patterns.match(text)
        numbers = [*framed]
        spans, broken = list[ParsedSpan](), set[int]()
        for row in np.sort(unmatched).tolist():
            index = int(text.lists[row])
            try:
                span = orjson.loads(text.span(row))
            except orjson.JSONDecodeError:
                broken.add(numbers[index])
            else:
                spans.append(ParsedSpan(numbers[index], span, lists[index].frame.resource))
        return columns, spans, broken

    def _span_list(self, data: bytearray, start: int, end: int) -> "_SpanList | None":
        """Return the list of spans in a line with its frame; None if the line has no frame."""
        for position, frame in enumerate(self._frames):
            ends = frame.within(data, start, end)
            if ends is not None:
                if position:
                    self._frames.insert(0, self._frames.pop(position))
                return _SpanList(frame, *ends)
        new = _frame_of(bytes(data[start:end]))
        if new is None:
            return None
        self._frames.insert(0, new)
        del self._frames[MAX_FRAMES:]
        ends = new.within(data, start, end)
        return None if ends is None else _SpanList(new, *ends)


@dataclass(frozen=True, slots=True)
class _SpanList:
    """The frame of a line, and where its spans begin and end."""

    frame: LineFrame
    begin: int
    end: int


def _is_plain(data: bytearray, begin: int, end: int, breaks: int = 0) -> bool:
    """Say whether text is UTF-8 without escapes and with only `breaks` control characters.

    Those are the line breaks. Then each quote is the begin or the end of a JSON string.
    """
    if data.find(b"\\", begin, end) >= 0:
        return False
    codes = np.frombuffer(data, np.uint8)[begin:end]
    for first in range(0, len(codes), _CHUNK_BYTES):
        breaks -= int(np.count_nonzero(codes[first : first + _CHUNK_BYTES] < _FIRST_PRINTABLE))
    if breaks < 0:
        return False
    try:
        return data.isascii() or bool(data[begin:end].decode())
    except UnicodeDecodeError:
        return False


def _frame_of(line: bytes) -> LineFrame | None:
    """Return the frame of a line with spans of one resource and our scope, else None.

    The end of the spans is the `}]` for which the rest of the line, with a mark in place of the
    spans, is JSON in which that mark is the only span.
    """
    begin = line.find(_BEGIN) + len(_BEGIN)
    end = len(line)
    for _ in range(_DEPTH if begin >= len(_BEGIN) else 0):
        end = line.rfind(_END, begin, end)
        if end < 0:
            break
        frame = _parsed_frame(line[:begin], line[end + 1 :])
        if frame is not None:
            return frame
    return None


def _parsed_frame(before: bytes, after: bytes) -> LineFrame | None:
    try:
        [resource] = orjson.loads(before + _MARK + after)["resourceSpans"]
        [scope] = resource["scopeSpans"]
        is_ours = scope["spans"] == [0] and scope["scope"]["name"] == attributes.SCOPE
    except SHAPE_ERRORS:
        return None
    return LineFrame(before, after, resource) if is_ours else None
