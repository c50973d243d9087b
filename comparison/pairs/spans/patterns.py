"""Patterns of pair spans that differ only in their values, each matched with many spans at once.

A worker writes millions of spans with the same attributes in the same order: the bytes between two
values are always the same. A pattern has these bytes. numpy compares them in all spans of some
megabytes together, and cuts out the values. A pattern matches only valid JSON without escapes; the
JSON parser reads every other span.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import orjson

from comparison.pairs.columns import column_of
from comparison.pairs.spans.row import (
    LAST_NANOSECOND,
    REQUIRED,
    SHAPE_ERRORS,
    Columns,
    Shape,
    pair_row,
)
from comparison.pairs.spans.text import PADDING_BYTES, Indices, Mask, SpanText, ValueColumn
from comparison.pairs.spans.values import Repeated
from flags.export import attributes

MAX_PATTERNS: Final = 16
"""Patterns that are kept, the most recently matched first."""
MAX_ATTEMPTS: Final = 256
"""Patterns that are made for one folder: with more shapes than that, patterns save no time."""
MIN_ROWS: Final = 16
"""Spans for which a pattern is used: it takes as long for one span as for hundreds."""
MIN_SHARING_ROWS: Final = 256
"""Spans from which on a quick pattern is made of them."""
MIN_SHARED_VALUES: Final = 4
"""Values that all these spans must share for a quick pattern."""

_IDENTITY: Final = ("spanId", "traceId", "startTimeUnixNano")
_IGNORED: Final = frozenset({"endTimeUnixNano", "parentSpanId", "traceState", "flags"})
_ZERO_END: Final = b"0}}"
"""The end of an attribute with the value 0."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value in a span: an id or time, an attribute with a column, or (without both) ignored."""

    quoted: bool
    identity: str | None = None
    key: str | None = None
    shared: tuple[Any] | None = None
    """The value, if it is the same in all spans: then the literal around it contains it."""


@dataclass(frozen=True, slots=True)
class SpanPattern:
    """The fields of a span, and the bytes before, between and after the fields not shared."""

    literals: tuple[bytes, ...]
    fields: tuple[Field, ...]
    is_quick: bool = False
    """Whether values are shared: the other fields are expected to differ from span to span."""

    @classmethod
    def of(cls, span: dict[str, Any]) -> Self:
        """Make the pattern of one span."""
        literals, fields = [b""], list[Field]()
        for piece in _pieces(span):
            if isinstance(piece, Field):
                fields.append(piece)
                literals.append(b"")
            else:
                literals[-1] += piece
        return cls(tuple(literals), tuple(fields))

    @property
    def keys(self) -> Shape:
        """Return the keys of the attributes that have a column, in the span's order."""
        return tuple(field.key for field in self.fields if field.key is not None)

    def match(self, text: SpanText, rows: Indices) -> tuple[Indices, list[ValueColumn]]:
        """Return the matching spans and their values; none if fewer than MIN_ROWS match."""
        while len(rows) >= MIN_ROWS:
            result = self._match_all(text, rows)
            if isinstance(result, list):
                return rows, result
            rows = rows[result]
        return rows[:0], []

    def _match_all(self, text: SpanText, rows: Indices) -> list[ValueColumn] | Mask:
        """Return the values of these spans if all match; else a mask of the spans that may."""
        first, *others = self.literals
        at, columns = text.starts[rows], list[ValueColumn]()
        matching = text.starts_with(at, first)
        at = at + len(first)
        for literal in others:
            if not matching.all():
                return matching
            column = text.value(at, literal[:1], may_be_shared=not self.is_quick)
            columns.append(column)
            matching = column.has_end & text.starts_with(column.ends, literal)
            at = column.ends + len(literal)
        matching &= at == text.ends[rows]
        return columns if matching.all() else matching

    def values(self, columns: Sequence[ValueColumn]) -> Columns:
        """Convert matched values to the columns of pairs; return none if a value is not valid."""
        identity: dict[str, Sequence[Any]] = {}
        kept: Columns = []
        unshared = iter(columns)
        for field in self.fields:
            if field.shared is not None:
                values: Sequence[Any] = Repeated(field.shared[0], len(columns[0].starts))
            elif field.identity is not None:
                identity[field.identity] = _identity(field.identity, next(unshared))
                continue
            elif field.quoted:
                column = next(unshared)
                values = column.texts() if field.key is not None else "-"
            else:
                values = next(unshared).numbers()
            if not values:
                return []
            if field.key is not None:
                kept.append(values)
        if not all(identity.get(name) for name in _IDENTITY):
            return []
        return [*(identity[name] for name in _IDENTITY), *kept]

    def quick(self, columns: Sequence[ValueColumn]) -> Self | None:
        """Return the pattern that has the values shared by all these spans in its literals.

        None if they share too few. It has a fourth of the fields to cut out, and takes a fourth of
        the time.
        """
        literals, fields = [self.literals[0]], list[Field]()
        for field, column, literal in zip(self.fields, columns, self.literals[1:], strict=True):
            shared = column.shared(field.quoted) if field.identity is None else None
            if shared is None:
                literals.append(literal)
                fields.append(field)
            else:
                literals[-1] += column.first + literal
                fields.append(replace(field, shared=shared))
        if len(self.literals) - len(literals) < MIN_SHARED_VALUES or not _are_short(literals):
            return None
        return replace(self, literals=tuple(literals), fields=tuple(fields), is_quick=True)


class ShapePatterns:
    """The patterns of one shape of spans: a general one, and perhaps a quick one.

    Most values of a span are the same as in the span before: flag, worker, models, thresholds. The
    quick pattern has them in its literals.
    """

    def __init__(self, pattern: SpanPattern) -> None:
        self.pattern = pattern
        self.quick: SpanPattern | None = None
        self._attempts = 0

    def match(self, text: SpanText, rows: Indices) -> tuple[Indices, list[tuple[Shape, Columns]]]:
        """Return the spans that do not match, and the columns of the others."""
        found: list[tuple[Shape, Columns]] = []
        if self.quick is not None:
            rows = self._match(self.quick, text, rows, found)
        by_quick = len(found[0][1][0]) if found else 0
        learn_from = max(MIN_SHARING_ROWS, by_quick // 4)
        return self._match(self.pattern, text, rows, found, learn_from), found

    def _match(
        self,
        pattern: SpanPattern,
        text: SpanText,
        rows: Indices,
        found: list[tuple[Shape, Columns]],
        learn_from: int | None = None,
    ) -> Indices:
        """Add the columns of the matching spans to `found`; return the other spans.

        If at least `learn_from` spans match, make a new quick pattern of them.
        """
        matching, columns = pattern.match(text, rows)
        values = pattern.values(columns) if columns else []
        if not values:
            return rows
        found.append((pattern.keys, values))
        if learn_from is not None and learn_from <= len(matching) and self._attempts < MAX_ATTEMPTS:
            self._attempts += 1
            self.quick = pattern.quick(columns)
        return np.setdiff1d(rows, matching, assume_unique=True)


def _identity(name: str, column: ValueColumn) -> Sequence[Any]:
    """Return ids or times; none if one of them is not valid for a pair."""
    if name != "startTimeUnixNano":
        may_be_empty = name == "traceId"
        return column.texts() if may_be_empty or (column.ends > column.starts).all() else []
    times = column.numbers()
    is_valid = set(map(type, times)) == {int} and 0 < min(times) <= max(times) <= LAST_NANOSECOND
    return times if is_valid else []


class SpanPatterns:
    """The patterns of recent spans, by shape; they are learned from the spans that they read."""

    def __init__(self) -> None:
        self.kept: list[ShapePatterns] = []
        self._attempts = 0

    def match(self, text: SpanText) -> tuple[list[tuple[Shape, Columns]], Indices]:
        """Return the columns of the spans that match a pattern, and the rows of the others."""
        rows, found = np.arange(len(text.starts)), list[tuple[Shape, Columns]]()
        for patterns in [*self.kept]:
            rows = self._match(patterns, text, rows, found)
        others = rows[:0]
        while len(rows) >= MIN_ROWS and len(others) < MIN_ROWS:
            learned = self._learn(text.span(rows[0]))
            left = self._match(learned, text, rows, found) if learned else rows
            if len(left) == len(rows):
                others, left = np.append(others, rows[0]), rows[1:]
            rows = left
        return found, np.append(others, rows)

    def _match(
        self,
        patterns: ShapePatterns,
        text: SpanText,
        rows: Indices,
        found: list[tuple[Shape, Columns]],
    ) -> Indices:
        """Add the columns of the matching rows to `found`; return the other rows."""
        rows, columns = patterns.match(text, rows)
        if columns:
            found += columns
            self.kept.remove(patterns)
            self.kept.insert(0, patterns)
        return rows

    def _learn(self, text: bytes) -> ShapePatterns | None:
        """Make a pattern of a pair span.

        Return None if our encoder would write the span differently, or if the pattern would not
        read the same values from it as the JSON parser.
        """
        if self._attempts >= MAX_ATTEMPTS:
            return None
        self._attempts += 1
        try:
            span = orjson.loads(text)
            if span["name"] != attributes.PAIR_SPAN or orjson.dumps(span) != text:
                return None
            shape, row = pair_row(span)
            pattern = SpanPattern.of(span)
        except SHAPE_ERRORS:
            return None
        is_known = any(each.pattern == pattern for each in self.kept)
        fits = _are_short(pattern.literals) and REQUIRED.issubset(shape)
        if is_known or not fits or not _agree(pattern, text, shape, row):
            return None
        learned = ShapePatterns(pattern)
        self.kept.insert(0, learned)
        del self.kept[MAX_PATTERNS:]
        return learned


def _agree(pattern: SpanPattern, text: bytes, shape: Shape, row: Sequence[Any]) -> bool:
    """Say whether a pattern reads the same values from a span as the JSON parser."""
    ends = range(len(text), (len(text) + 1) * MIN_ROWS, len(text) + 1)
    copies = SpanText.of(
        (text + b",") * MIN_ROWS + bytes(PADDING_BYTES), [end - len(text) for end in ends], ends
    )
    columns = pattern.values(pattern.match(copies, np.arange(len(copies.starts)))[1])
    first = len(_IDENTITY)
    kept = [value for key, value in zip(shape, row[first:], strict=True) if column_of(key)]
    return [each[0] for each in columns] == [*row[:first], *kept]


def _are_short(literals: Sequence[bytes]) -> bool:
    return max(map(len, literals)) < PADDING_BYTES


def _pieces(span: dict[str, Any]) -> Iterator[bytes | Field]:
    """Yield the fields of a span, and the bytes around them."""
    before = b"{"
    for name, value in span.items():
        yield before + orjson.dumps(name) + b":"
        if name == "attributes":
            for number, pair in enumerate(value):
                yield b"," if number else b"["
                yield from _attribute(pair)
            yield b"]" if value else b"[]"
        elif name in _IDENTITY or name in _IGNORED:
            identity = name if name in _IDENTITY else None
            yield from _quoted(Field(isinstance(value, str), identity=identity))
        else:
            yield orjson.dumps(value)
        before = b","
    yield b"}"


def _attribute(pair: dict[str, Any]) -> Iterator[bytes | Field]:
    """Yield the field of an attribute and the bytes around it; without one scalar value, bytes."""
    key, values = pair["key"], [*pair["value"].items()]
    if len(values) == 1 and isinstance(values[0][1], str | bool | int | float):
        [(kind, value)] = values
        yield orjson.dumps({**pair, "value": {kind: 0}}).removesuffix(_ZERO_END)
        yield from _quoted(Field(isinstance(value, str), key=key if column_of(key) else None))
        yield b"}}"
    else:
        yield orjson.dumps(pair)


def _quoted(field: Field) -> Iterator[bytes | Field]:
    yield b'"' if field.quoted else b""
    yield field
    yield b'"' if field.quoted else b""
