"""The result of reading pair files: counts of lines and spans, and rows not yet in columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from comparison.pairs.spans.lines import SpanLines
from comparison.pairs.spans.row import (
    REQUIRED,
    SHAPE_ERRORS,
    Columns,
    Row,
    Shape,
    key_of,
    only_value,
    pair_row,
    value_of,
)
from comparison.pairs.spans.values import joined
from comparison.pairs.tracked import tracked_row
from flags.export import attributes
from flags.export.worker_count import WorkerCount

_TIME: Final = 2
"""The index of the time in a row."""

Block = dict[Shape, Columns]
"""Columns by shape: one column for each entry of a row."""


@dataclass(slots=True)
class ReadCounts:
    """Counts of the lines read so far, and the rows of their pairs until `drain` takes them.

    `torn` counts files that end early, `corrupt` unreadable lines and spans, `foreign` spans and
    lines of other programs.
    """

    files: int = 0
    lines: int = 0
    torn: int = 0
    first_torn: str | None = None
    corrupt: int = 0
    first_corrupt: str | None = None
    foreign: int = 0
    worker_records: list[dict[str, Any]] = field(default_factory=list)
    worker_counts: list[WorkerCount] = field(default_factory=list)
    tracked: list[dict[str, Any]] = field(default_factory=list)
    """Outcomes that an application tracked: rows of `comparison.pairs.tracked`."""
    as_of: int | None = None
    """When the data was compacted, in Unix nanoseconds; None for pair files, which may grow."""
    rows: dict[Shape, list[Row]] = field(default_factory=dict)
    row_count: int = 0
    columns: list[tuple[Shape, Columns]] = field(default_factory=list)
    span_lines: SpanLines = field(default_factory=SpanLines)

    def add(self, other: "ReadCounts") -> None:
        """Add the counts of a file that was read later; its rows are not added."""
        self.files += other.files
        self.lines += other.lines
        self.torn += other.torn
        self.first_torn = self.first_torn or other.first_torn
        self.corrupt += other.corrupt
        self.first_corrupt = self.first_corrupt or other.first_corrupt
        self.foreign += other.foreign
        self.worker_records += other.worker_records
        self.tracked += other.tracked

    def tear(self, path: Path, progress: "Progress") -> None:
        """Count a file that ends early, after the lines read so far."""
        self.torn += 1
        self.first_torn = self.first_torn or torn_place(path, progress.lines)
        progress.torn = True

    def drain(self) -> Block:
        """Return the columns of the pairs read since the last call, and forget them.

        Shapes, and so outputs, are in the order of their first pairs, whether these were read by
        patterns or by the JSON parser.
        """
        parts = [*self.columns]
        parts += [(shape, [*zip(*rows, strict=True)]) for shape, rows in self.rows.items()]
        block: Block = {}
        for shape, columns in sorted(parts, key=_first_time):
            before = block.get(shape)
            both = zip(before, columns, strict=True) if before else ()
            block[shape] = [joined(first, second) for first, second in both] or columns
        self.rows, self.columns, self.row_count = {}, [], 0
        return block

    def take_lines(
        self, data: bytearray, starts: Sequence[int], ends: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Read the lines of a text that have the form in which this plugin writes them.

        Return the numbers of the other lines, and for each corrupt span the number of its line.
        `SpanLines.read` describes the text.
        """
        read = self.span_lines.read(data, starts, ends)
        self.columns += read.columns
        self.row_count += sum(len(columns[0]) for _, columns in read.columns)
        self.lines += len(ends) - len(read.others)
        corrupt = []
        for each in read.spans:
            try:
                self._take_span(each.span, each.resource)
            except SHAPE_ERRORS:
                corrupt.append(each.line)
        return read.others, corrupt

    def take(self, traces: Any) -> int:
        """Read our spans of one TracesData object; return how many of them were corrupt.

        Raises AttributeError, KeyError or TypeError if it is not a TracesData object.
        """
        resources = traces.get("resourceSpans")
        if resources is None:  # metrics, logs, or no telemetry at all
            self.foreign += 1
            return 0
        corrupt = 0
        for resource in resources:
            try:
                scopes = [_scope(scope) for scope in resource.get("scopeSpans") or ()]
            except SHAPE_ERRORS:  # this resource is corrupt; the others may be ours
                corrupt += 1
                continue
            for name, spans in scopes:
                if name != attributes.SCOPE:
                    self.foreign += len(spans)
                    continue
                for span in spans:
                    try:
                        self._take_span(span, resource)
                    except SHAPE_ERRORS:
                        corrupt += 1
        return corrupt

    def _take_span(self, span: dict[str, Any], resource: dict[str, Any]) -> None:
        name = span["name"]
        if name == attributes.PAIR_SPAN:
            shape, row = pair_row(span)
            rows = self.rows.get(shape)
            if rows is None:
                if not REQUIRED.issubset(shape):
                    raise KeyError(*(REQUIRED - set(shape)))
                rows = self.rows[shape] = []
            rows.append(row)
            self.row_count += 1
        elif name == attributes.WORKER_SPAN:
            self.worker_records.append({**_service(resource), **_values(span["attributes"])})
        elif name == attributes.OUTCOME_SPAN:
            self.tracked.append(tracked_row(span))
        else:
            self.foreign += 1


@dataclass(slots=True)
class Progress:
    """How far a file has been read, in bytes (`taken`) and lines; `torn` if a torn line follows."""

    taken: int = 0
    lines: int = 0
    torn: bool = False


def torn_place(path: Path | str, lines: int) -> str:
    """Describe where a file ends early."""
    return f"{path}, after line {lines:,}"


def _first_time(part: tuple[Shape, Columns]) -> int:
    """Return the time of the first pair in the columns of a shape."""
    times = part[1][_TIME]
    return int(times[0])


def _scope(scope: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return name and spans of a ScopeSpans object; null means the same as an absent field."""
    return (scope.get("scope") or {}).get("name"), scope.get("spans") or []


def _values(attribute_list: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the values of OTLP attributes by their keys."""
    return {key_of(each): only_value(value_of(each)) for each in attribute_list}


def _service(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the service name of a resource as an attribute; an empty dict if it has none."""
    values = _values((resource.get("resource") or {}).get("attributes") or ())
    name = values.get(attributes.SERVICE_NAME)
    return {} if name is None else {attributes.SERVICE_NAME: name}
