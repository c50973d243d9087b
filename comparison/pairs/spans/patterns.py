"""Patterns of pair spans that differ in nothing but their values, each held against many at once.

A worker writes millions of spans with the same attributes in the same order: between two values
there are always the same bytes. A pattern has these bytes, and numpy compares them in all spans of
some megabytes together; what is left are the values. It takes only what JSON takes, without
escapes: whatever else a span is, it does not match, and the JSON parser decides.
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
from comparison.pairs.spans.text import FARTHEST, Column, Places, SpanText, Truths
from comparison.pairs.spans.values import Repeated
from flags.export import attributes

MOST_PATTERNS: Final = 16
"""Kept at a time, those that matched last first."""
MOST_ATTEMPTS: Final = 256
"""Patterns made out of one folder. One that has more shapes than that gains nothing from them."""
FEWEST_ROWS: Final = 16
"""Spans for which a pattern is worth its while: it takes as long for one as for hundreds."""
FEWEST_SHARING: Final = 256
FEWEST_SHARED: Final = 4
"""A quicker pattern is made of so many spans, and if they share so many values."""

_IDENTITY: Final = ("spanId", "traceId", "startTimeUnixNano")
_IGNORED: Final = frozenset({"endTimeUnixNano", "parentSpanId", "traceState", "flags"})
_HELD: Final = b"0}}"
"""How an attribute with the value 0 ends."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value in a span: of its identity, of an attribute that has a column, or of no interest."""

    quoted: bool
    identity: str | None = None
    key: str | None = None
    shared: tuple[Any] | None = None
    """The value, where it is the same in all spans and a part of the bytes around it."""


@dataclass(frozen=True, slots=True)
class SpanPattern:
    """The bytes before each field of a span that is not shared, and after the last one."""

    literals: tuple[bytes, ...]
    fields: tuple[Field, ...]
    is_quick: bool = False
    """Whether values are shared: what is left differs from span to span."""

    @classmethod
    def of(cls, span: dict[str, Any]) -> Self:
        """Make it of one span."""
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
        """Return the attributes that have a column, in their order."""
        return tuple(field.key for field in self.fields if field.key is not None)

    def match(self, text: SpanText, rows: Places) -> tuple[Places, list[Column]]:
        """Return which of these spans match, and their fields; none if they are too few."""
        while len(rows) >= FEWEST_ROWS:
            found = self._follow(text, rows)
            if isinstance(found, list):
                return rows, found
            rows = rows[found]
        return rows[:0], []

    def _follow(self, text: SpanText, rows: Places) -> list[Column] | Truths:
        """Return where the values of these spans are; or, unless all match, which may match."""
        first, *others = self.literals
        at, columns = text.starts[rows], list[Column]()
        matching = text.has(at, first)
        at = at + len(first)
        for literal in others:
            if not matching.all():
                return matching
            column = text.value(at, literal[:1], may_share=not self.is_quick)
            columns.append(column)
            matching = column.found & text.has(column.ends, literal)
            at = column.ends + len(literal)
        matching &= at == text.ends[rows]
        return columns if matching.all() else matching

    def values(self, columns: Sequence[Column]) -> Columns:
        """Return the columns that are kept; none if a value is not what the parser wants."""
        identity: dict[str, Sequence[Any]] = {}
        kept: Columns = []
        found = iter(columns)
        for field in self.fields:
            if field.shared is not None:
                values: Sequence[Any] = Repeated(field.shared[0], len(columns[0].starts))
            elif field.identity is not None:
                identity[field.identity] = _identity(field.identity, next(found))
                continue
            elif field.quoted:
                column = next(found)
                values = column.texts() if field.key is not None else "-"
            else:
                values = next(found).numbers()
            if not values:
                return []
            if field.key is not None:
                kept.append(values)
        if not all(identity.get(name) for name in _IDENTITY):
            return []
        return [*(identity[name] for name in _IDENTITY), *kept]

    def sharing(self, columns: Sequence[Column]) -> Self | None:
        """Return the pattern of spans that share the values that all of these have.

        None if they share too few. It has a fourth of the fields, and is as much faster.
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
        if len(self.literals) - len(literals) < FEWEST_SHARED or not _are_short(literals):
            return None
        return replace(self, literals=tuple(literals), fields=tuple(fields), is_quick=True)


class Known:
    """A shape of spans: its pattern, and a quicker one of spans that share what hardly changes.

    Most of a span says the same as the one before: the flag, the worker, the models, thresholds.
    """

    def __init__(self, pattern: SpanPattern) -> None:
        self.pattern = pattern
        self.quick: SpanPattern | None = None
        self._attempts = 0

    def take(self, text: SpanText, rows: Places) -> tuple[Places, list[tuple[Shape, Columns]]]:
        """Return the columns of those of these spans that match, and which do not."""
        found: list[tuple[Shape, Columns]] = []
        if self.quick is not None:
            rows = self._take(self.quick, text, rows, found)
        quick = len(found[0][1][0]) if found else 0
        return self._take(self.pattern, text, rows, found, max(FEWEST_SHARING, quick // 4)), found

    def _take(
        self,
        pattern: SpanPattern,
        text: SpanText,
        rows: Places,
        found: list[tuple[Shape, Columns]],
        learn_from: int | None = None,
    ) -> Places:
        matching, columns = pattern.match(text, rows)
        values = pattern.values(columns) if columns else []
        if not values:
            return rows
        found.append((pattern.keys, values))
        if (
            learn_from is not None
            and learn_from <= len(matching)
            and self._attempts < MOST_ATTEMPTS
        ):
            self._attempts += 1
            self.quick = pattern.sharing(columns)
        return np.setdiff1d(rows, matching, assume_unique=True)


def _identity(name: str, column: Column) -> Sequence[Any]:
    """Return ids or times; none if one is not what a pair has."""
    if name != "startTimeUnixNano":
        is_wanted = name == "traceId" or (column.ends > column.starts).all()
        return column.texts() if is_wanted else []
    times = column.numbers()
    right = set(map(type, times)) == {int} and 0 < min(times) <= max(times) <= LAST_NANOSECOND
    return times if right else []


class SpanPatterns:
    """The patterns of the spans seen lately."""

    def __init__(self) -> None:
        self.kept: list[Known] = []
        self._attempts = 0

    def match(self, text: SpanText) -> tuple[list[tuple[Shape, Columns]], Places]:
        """Return the columns of the spans that patterns match, and which are left."""
        rows, found = np.arange(len(text.starts)), list[tuple[Shape, Columns]]()
        for known in [*self.kept]:
            rows = self._take(known, text, rows, found)
        others = rows[:0]
        while len(rows) >= FEWEST_ROWS and len(others) < FEWEST_ROWS:
            learned = self._learn(text.span(rows[0]))
            left = self._take(learned, text, rows, found) if learned else rows
            if len(left) == len(rows):
                others, left = np.append(others, rows[0]), rows[1:]
            rows = left
        return found, np.append(others, rows)

    def _take(
        self, known: Known, text: SpanText, rows: Places, found: list[tuple[Shape, Columns]]
    ) -> Places:
        """Add the columns of those rows that match; return the others."""
        rows, taken = known.take(text, rows)
        if taken:
            found += taken
            self.kept.remove(known)
            self.kept.insert(0, known)
        return rows

    def _learn(self, text: bytes) -> Known | None:
        """Make a pattern of a pair span.

        There is none if it is not written as our encoder writes it, or if the pattern would read
        from it anything else than the parser has.
        """
        if self._attempts >= MOST_ATTEMPTS:
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
        known = Known(pattern)
        self.kept.insert(0, known)
        del self.kept[MOST_PATTERNS:]
        return known


def _agree(pattern: SpanPattern, text: bytes, shape: Shape, row: Sequence[Any]) -> bool:
    """Say whether a pattern reads from a span what the parser has."""
    ends = range(len(text), (len(text) + 1) * FEWEST_ROWS, len(text) + 1)
    several = SpanText.of(
        (text + b",") * FEWEST_ROWS + bytes(FARTHEST), [end - len(text) for end in ends], ends
    )
    columns = pattern.values(pattern.match(several, np.arange(len(several.starts)))[1])
    first = len(_IDENTITY)
    kept = [value for key, value in zip(shape, row[first:], strict=True) if column_of(key)]
    return [each[0] for each in columns] == [*row[:first], *kept]


def _are_short(literals: Sequence[bytes]) -> bool:
    return max(map(len, literals)) < FARTHEST


def _pieces(span: dict[str, Any]) -> Iterator[bytes | Field]:
    """Yield the text of a span: its fields, and the bytes around them."""
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
            yield from _around(Field(isinstance(value, str), identity=identity))
        else:
            yield orjson.dumps(value)
        before = b","
    yield b"}"


def _attribute(pair: dict[str, Any]) -> Iterator[bytes | Field]:
    """Yield the text of an attribute; one that has several values, or none, is the same always."""
    key, values = pair["key"], [*pair["value"].items()]
    if len(values) == 1 and isinstance(values[0][1], str | bool | int | float):
        [(kind, value)] = values
        yield orjson.dumps({**pair, "value": {kind: 0}}).removesuffix(_HELD)
        yield from _around(Field(isinstance(value, str), key=key if column_of(key) else None))
        yield b"}}"
    else:
        yield orjson.dumps(pair)


def _around(field: Field) -> Iterator[bytes | Field]:
    yield b'"' if field.quoted else b""
    yield field
    yield b'"' if field.quoted else b""
