"""Recognise lines that differ from one seen before in nothing but the values of their pair.

A worker writes millions of lines with the same attributes in the same order. A line of a known
shape is read by one regular expression instead of a JSON parser, in a third of the time. The
expression takes only what JSON takes, in printable ASCII without escapes: whatever else a line is,
it does not match, and the parser decides.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from comparison.columns import column_of

MOST_TEMPLATES: Final = 8
"""Kept at a time, those that matched last first."""
MOST_ATTEMPTS: Final = 256
"""Templates made out of one file. One that has more shapes than that gains nothing from them."""

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
class Template:
    """Match lines of one shape; `order` sorts what was captured: span id, trace id, start, values.

    `keys` are the attributes in their order, `decoders` turn captured bytes into their values.
    """

    keys: tuple[str, ...]
    head: bytes
    rest: "re.Pattern[bytes]"
    order: tuple[int, ...]
    decoders: tuple[Decode, ...]

    def values(self, line: bytes) -> Values | None:
        """Return what the line holds as it is written, None if it is of another shape."""
        if not line.startswith(self.head):
            return None
        match = self.rest.fullmatch(line, len(self.head))
        return match.groups() if match else None

    def columns(self, rows: Sequence[Values]) -> Iterator[Sequence[Any]]:
        """Turn rows into columns: span ids, trace ids, starts, then those of the attributes."""
        captured = list(zip(*rows, strict=True))
        for place, decode in zip(self.order, self.decoders, strict=True):
            yield decode(captured[place])


class Templates:
    """Keep the templates of the lines seen lately, and the rows that matched each."""

    def __init__(self) -> None:
        self._kept: list[tuple[Template, list[Values]]] = []
        self._attempts = 0

    def match(self, line: bytes) -> bool:
        """Take the values of a line if a template matches it."""
        for place, (template, rows) in enumerate(self._kept):
            values = template.values(line)
            if values is not None:
                rows.append(values)
                if place:
                    self._kept.insert(0, self._kept.pop(place))
                return True
        return False

    def learn(self, line: bytes, span: dict[str, Any], row: Sequence[Any]) -> None:
        """Make a template of a line that holds one pair span, which was read as `row`.

        There is none if the line is not written as our encoder writes it, or if the template would
        read from it anything else than the parser has.
        """
        if self._attempts >= MOST_ATTEMPTS:
            return
        text = orjson.dumps(span)
        begin = line.find(text)
        if begin < 0:
            return
        head, expression = line[:begin], _Expression.of(span)
        rest = expression.pattern + re.escape(line[begin + len(text) :])
        if any(each.head == head and each.rest.pattern == rest for each, _ in self._kept):
            return
        self._attempts += 1
        template = expression.template(head, rest)
        values = template.values(line)
        if values is None or not _agree(template, values, span, row):
            return
        if len(self._kept) == MOST_TEMPLATES:
            place = next((n for n, (_, rows) in enumerate(self._kept) if not rows), None)
            if place is None:
                return
            del self._kept[place]
        self._kept.insert(0, (template, []))

    def drain(self) -> Iterator[tuple[tuple[str, ...], list[Sequence[Any]]]]:
        """Yield keys and columns of the rows taken since the last call, and forget them."""
        for template, rows in self._kept:
            if rows:
                yield template.keys, list(template.columns(rows))
                rows.clear()


@dataclass(frozen=True, slots=True)
class _Expression:
    """Hold the expression of a span; of each of its groups, the field and how to decode it."""

    pattern: bytes
    keys: tuple[str, ...]
    names: tuple[str, ...]
    decoders: tuple[Decode, ...]

    @classmethod
    def of(cls, span: dict[str, Any]) -> Self:
        parts: list[bytes] = []
        groups: list[tuple[str, Decode]] = []
        keys: list[str] = []
        for name, value in span.items():
            if name == "attributes":
                found = [_attribute(pair) for pair in value]
                part = rb"\[" + b",".join(expression for expression, _ in found) + rb"\]"
                groups += [(name, decode) for _, decode in found if decode is not None]
                keys = [
                    pair["key"]
                    for pair, (_, decode) in zip(value, found, strict=True)
                    if decode is not None
                ]
            elif name in _CAPTURED:
                part, decode = _CAPTURED[name]
                groups.append((name, decode))
            else:
                part = _IGNORED.get(name) or re.escape(orjson.dumps(value))
            parts.append(re.escape(orjson.dumps(name)) + b":" + part)
        return cls(
            rb"\{" + b",".join(parts) + rb"\}",
            tuple(keys),
            tuple(name for name, _ in groups),
            tuple(decode for _, decode in groups),
        )

    def template(self, head: bytes, rest: bytes) -> Template:
        fields = ("spanId", "traceId", "startTimeUnixNano", "attributes")
        order = [
            place for field in fields for place, name in enumerate(self.names) if name == field
        ]
        decoders = tuple(self.decoders[place] for place in order)
        return Template(self.keys, head, re.compile(rest), tuple(order), decoders)


def _agree(template: Template, values: Values, span: dict[str, Any], row: Sequence[Any]) -> bool:
    """Say whether a template reads from its line what the parser has."""
    read = [each[0] for each in template.columns([values])]
    kept = [
        value
        for pair, value in zip(span["attributes"], row[3:], strict=True)
        if column_of(pair["key"])
    ]
    return read == [*row[:3], *kept]


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
