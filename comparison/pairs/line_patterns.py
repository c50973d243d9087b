"""Patterns of lines that differ in nothing but the values of their pair.

A worker writes millions of lines with the same attributes in the same order. Lines of a known
shape are read by one regular expression instead of a JSON parser, many at a time, in a fourth of
the time. The expression takes only what JSON takes, in printable ASCII without escapes: whatever
else a line is, it does not match, and the parser decides.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Self

import orjson

from comparison.pairs.columns import column_of

MOST_PATTERNS: Final = 8
"""Kept at a time, those that matched last first."""
MOST_ATTEMPTS: Final = 256
"""Patterns made out of one file. One that has more shapes than that gains nothing from them."""

FEWEST_ROWS: Final = 512
FEWEST_SHARED: Final = 4
"""A quicker pattern is made by so many rows, and if they share so many values."""

_TEXT: Final = rb'"([ !#-\[\]-~]*+)"'
_NUMBER: Final = rb"(-?(?:0|[1-9][0-9]*+)\.[0-9]++(?:e[-+]?[0-9]{1,2})?)"
"""Neither a whole number, which Python tells from a float, nor too large for one."""
_TRUTH: Final = rb"(true|false)"
_IDENTITY: Final = rb'"([0-9a-f]++)"'
_NANOSECONDS: Final = rb'"([1-8][0-9]{18})"'
"""Of the years 2001 to 2255; each other time is left to the parser."""
_WHOLE: Final = rb"[0-9]++"

_HELD: Final = re.escape(b"0}}")
"""How an attribute with the value 0 ends."""

_IGNORED: Final = {
    "endTimeUnixNano": rb'"[0-9]++"',
    "parentSpanId": rb'"[0-9a-f]*+"',
    "flags": _WHOLE,
}

Values = tuple[bytes, ...]
"""What the groups of a whole line capture: its head, the values, and nothing.

To take head and last group off each line would cost a tenth of reading it.
"""
Decode = Callable[[Sequence[bytes]], Sequence[Any]]


def _texts(values: Sequence[bytes]) -> Sequence[Any]:
    return b"\n".join(values).decode("ascii").split("\n")


def _literals(values: Sequence[bytes]) -> Sequence[Any]:
    literals: list[Any] = orjson.loads(b"[" + b",".join(values) + b"]")
    return literals


def _times(values: Sequence[bytes]) -> Sequence[Any]:
    return list(map(int, values))


_CAPTURED: Final[dict[str, tuple[bytes, Decode]]] = {
    "spanId": (_IDENTITY, _texts),
    "traceId": (_IDENTITY, _texts),
    "startTimeUnixNano": (_NANOSECONDS, _times),
}


@dataclass(frozen=True, slots=True)
class Field:
    """Say where a column comes from: the group that captures it, or the value that all lines share.

    `decode` turns captured bytes into values.
    """

    group: int | None
    decode: Decode
    value: Any = None


@dataclass(frozen=True)
class LinePattern:
    """Match lines of one shape, whose `keys` are the attributes in their order.

    The fields are span id, trace id, start, and then the values of the attributes.
    """

    keys: tuple[str, ...]
    head: bytes
    rest: "re.Pattern[bytes]"
    """What comes after the head, without the end of the line."""
    fields: tuple[Field, ...]

    def values(self, line: bytes) -> Values | None:
        """Return what the line holds as it is written, None if it is of another shape."""
        if not line.startswith(self.head):
            return None
        match = self.rest.fullmatch(line, len(self.head), len(line) - line.endswith(b"\n"))
        return (self.head, *match.groups(), b"") if match else None

    def split(self, lines: bytes) -> tuple[list[Values], bytes]:
        """Return what those of whole lines hold that are of this shape, and the other lines.

        Nothing is taken where lines differ in their heads alone.
        """
        found: list[Values] = self._lines.findall(lines)
        head = self.head
        if [row[0] for row in found].count(head) == len(found):
            return found, b""
        rows = [row for row in found if row[0] == head]
        others = [row[-1] for row in found if row[-1]]
        if len(rows) + len(others) < len(found):
            return [], lines
        return rows, b"".join(others)

    @cached_property
    def _lines(self) -> "re.Pattern[bytes]":
        """Match one whole line: its head and values, or else, as the last group, all of it.

        The head is taken by its length, and compared afterwards: much faster than as an expression.
        """
        length = str(len(self.head)).encode()
        return re.compile(rb"(?s:(.{" + length + rb"}))" + self.rest.pattern + rb"\n|([^\n]*+\n)")

    def columns(self, rows: Sequence[Values]) -> Iterator[Sequence[Any]]:
        """Turn rows into columns: span ids, trace ids, starts, then those of the attributes."""
        captured = list(zip(*rows, strict=True))
        for field in self.fields:
            if field.group is None:
                yield [field.value] * len(rows)
            else:
                yield field.decode(captured[1 + field.group])


class Known:
    """A shape of lines: its pattern, and a quicker one of lines that share what hardly changes.

    Most of a line says the same as the line before: the flag, the worker, the models, thresholds.
    """

    def __init__(self, span: dict[str, Any], pattern: LinePattern, tail: bytes) -> None:
        self.pattern = pattern
        self.rows: list[Values] = []
        self._span = span
        self._tail = tail
        self._quick: LinePattern | None = None
        self._quick_rows: list[Values] = []
        self._shared = frozenset(range(len(pattern.keys)))
        self._attempts = 0

    @property
    def holds_rows(self) -> bool:
        """Say whether rows wait to be drained."""
        return bool(self.rows or self._quick_rows)

    def split(self, lines: bytes) -> tuple[int, bytes]:
        """Take the values of those of whole lines that match; return how many, and the others."""
        taken = 0
        for pattern, rows in ((self._quick, self._quick_rows), (self.pattern, self.rows)):
            if pattern is not None and lines:
                found, lines = pattern.split(lines)
                rows += found
                taken += len(found)
        return taken, lines

    def drain(self) -> Iterator[list[Sequence[Any]]]:
        """Yield the columns of the rows taken since the last call, and forget the rows."""
        if self._quick is not None and self._quick_rows:
            yield list(self._quick.columns(self._quick_rows))
        if self.rows:
            columns = list(self.pattern.columns(self.rows))
            yield columns
            if len(self.rows) >= max(FEWEST_ROWS, len(self._quick_rows) // 4):
                self._hasten(columns[3:])
        self._quick_rows.clear()
        self.rows.clear()

    def _hasten(self, columns: Sequence[Sequence[Any]]) -> None:
        """Make the quicker pattern anew, by columns that too many lines had to be read for."""
        if self._attempts == MOST_ATTEMPTS:
            return
        self._attempts += 1
        self._shared = frozenset(
            place
            for place in self._shared
            if columns[place].count(columns[place][0]) == len(columns[place])
        )
        shared = {place: columns[place][0] for place in self._shared}
        expression = _Expression.of(self._span, shared)
        self._quick = (
            expression.line_pattern(self.pattern.head, expression.pattern + self._tail)
            if len(shared) >= FEWEST_SHARED
            else None
        )


class LinePatterns:
    """The patterns of the lines seen lately, and the rows that matched each."""

    def __init__(self) -> None:
        self._kept: list[Known] = []
        self._attempts = 0

    def match_all(self, lines: bytes) -> tuple[int, bytes]:
        """Take the values of whole lines that patterns match; return how many, and the others."""
        count = 0
        for known in self._kept:
            if not lines:
                break
            taken, lines = known.split(lines)
            count += taken
        return count, lines

    def match(self, line: bytes) -> bool:
        """Take the values of a line if a pattern matches it."""
        for place, known in enumerate(self._kept):
            values = known.pattern.values(line)
            if values is not None:
                known.rows.append(values)
                if place:
                    self._kept.insert(0, self._kept.pop(place))
                return True
        return False

    def learn(self, line: bytes, span: dict[str, Any], row: Sequence[Any]) -> None:
        """Make a pattern of a line that holds one pair span, which was read as `row`.

        There is none if the line is not written as our encoder writes it, or if the pattern would
        read from it anything else than the parser has.
        """
        if self._attempts >= MOST_ATTEMPTS:
            return
        text = orjson.dumps(span)
        begin = line.find(text)
        if begin < 0:
            return
        head, expression = line[:begin], _Expression.of(span)
        tail = re.escape(line[begin + len(text) :].removesuffix(b"\n"))
        rest = expression.pattern + tail
        known = (each.pattern for each in self._kept)
        if any(each.head == head and each.rest.pattern == rest for each in known):
            return
        self._attempts += 1
        pattern = expression.line_pattern(head, rest)
        values = pattern.values(line)
        if values is None or not _agree(pattern, values, span, row):
            return
        if len(self._kept) == MOST_PATTERNS:
            place = next((n for n, each in enumerate(self._kept) if not each.holds_rows), None)
            if place is None:
                return
            del self._kept[place]
        self._kept.insert(0, Known(span, pattern, tail))

    def drain(self) -> Iterator[tuple[tuple[str, ...], list[Sequence[Any]]]]:
        """Yield keys and columns of the rows taken since the last call, and forget them."""
        for known in self._kept:
            for columns in known.drain():
                yield known.pattern.keys, columns


@dataclass(frozen=True, slots=True)
class _Expression:
    """Hold the expression of a span, the keys whose values are kept, and the fields."""

    pattern: bytes
    keys: tuple[str, ...]
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, span: dict[str, Any], shared: Mapping[int, Any] = MappingProxyType({})) -> Self:
        """Make it of one span; `shared` are values that all lines have, by the place of the key."""
        parts: list[bytes] = []
        keys: list[str] = []
        groups = itertools.count()
        captured: dict[str, Field] = {}
        held: list[Field] = []
        for name, value in span.items():
            if name == "attributes":
                found: list[bytes] = []
                for pair in value:
                    expression, decode = _attribute(pair)
                    if decode is not None:
                        place = len(keys)
                        keys.append(pair["key"])
                        if place in shared:
                            expression = _literal(pair, shared[place])
                            held.append(Field(None, decode, shared[place]))
                        else:
                            held.append(Field(next(groups), decode))
                    found.append(expression)
                part = rb"\[" + b",".join(found) + rb"\]"
            elif name in _CAPTURED:
                part, decode = _CAPTURED[name]
                captured[name] = Field(next(groups), decode)
            else:
                part = _IGNORED.get(name) or re.escape(orjson.dumps(value))
            parts.append(re.escape(orjson.dumps(name)) + b":" + part)
        identity = (captured[name] for name in _CAPTURED)
        return cls(rb"\{" + b",".join(parts) + rb"\}", tuple(keys), (*identity, *held))

    def line_pattern(self, head: bytes, rest: bytes) -> LinePattern:
        return LinePattern(self.keys, head, re.compile(rest), self.fields)


def _agree(pattern: LinePattern, values: Values, span: dict[str, Any], row: Sequence[Any]) -> bool:
    """Say whether a pattern reads from its line what the parser has."""
    read = [each[0] for each in pattern.columns([values])]
    kept = [
        value
        for pair, value in zip(span["attributes"], row[3:], strict=True)
        if column_of(pair["key"])
    ]
    return read == [*row[:3], *kept]


def _literal(pair: dict[str, Any], value: Any) -> bytes:
    """Return the expression of an attribute that has this value."""
    [kind] = pair["value"]
    return re.escape(orjson.dumps({**pair, "value": {kind: value}}))


def _attribute(pair: dict[str, Any]) -> tuple[bytes, Decode | None]:
    """Return the expression of an attribute, and how to decode its group; None without a group."""
    [(kind, value)] = pair["value"].items() or [("", None)]
    if isinstance(value, str):
        expression, decode = _TEXT, _texts
    elif isinstance(value, bool):
        expression, decode = _TRUTH, _literals
    elif isinstance(value, float):
        expression, decode = _NUMBER, _literals
    else:
        return re.escape(orjson.dumps(pair)), None
    written = re.escape(orjson.dumps({**pair, "value": {kind: 0}})).removesuffix(_HELD)
    if column_of(pair["key"]) is None:  # nobody's column: it need not be kept
        return written + expression.replace(b"(", b"(?:", 1) + rb"\}\}", None
    return written + expression + rb"\}\}", decode
