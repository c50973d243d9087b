"""A reader of pair files: one OTLP/JSON TracesData object a line, with our spans in it.

Format: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/. A file may still be
written to, may have been cut by a crash, and may have passed through a collector that put several
resources, or spans of other programs, on a line: all that is counted, and reading goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Final

import orjson

from comparison.errors import PairsUnreadableError
from comparison.pairs.line_patterns import LinePatterns
from comparison.pairs.opening import find_files, open_file
from comparison.pairs.progress_bar import files_with_bar
from comparison.pairs.tracked import tracked_row
from flags.export import attributes
from flags.export.worker_count import WorkerCount, read_counts

BLOCK_ROWS: Final = 4_096
"""Rows that are kept as Python objects before they become columns: few enough for the cache."""

_CHUNK_BYTES: Final = 2**18
"""Bytes that are read at a time: some eighty lines, few enough for the cache."""

REQUIRED: Final = frozenset(
    {
        attributes.FLAG_KEY,
        attributes.REQUEST_ID,
        attributes.side("primary", attributes.STATUS),
        attributes.side("candidate", attributes.STATUS),
    }
)
"""A pair span that lacks one of these is corrupt."""

_key_of = itemgetter("key")
_value_of = itemgetter("value")
_SHAPE_ERRORS: Final = (AttributeError, KeyError, TypeError, ValueError)
"""What text that is not JSON, and JSON that is not OTLP, raises."""
_LAST_NANOSECOND: Final = 2**63 - 1

Shape = tuple[str, ...]
"""The attribute keys of a span, in its order: nearly all pairs of a service share a few."""

Row = list[Any]
"""Span id, trace id, start in nanoseconds, then the attribute values in the order of the shape."""

Block = dict[Shape, list[Sequence[Any]]]
"""Columns by shape: one for each entry of a row."""


@dataclass(slots=True)
class ReadCounts:
    """Count what the lines read so far held; keep pair rows until they are drained."""

    files: int = 0
    lines: int = 0
    torn: int = 0
    corrupt: int = 0
    first_corrupt: str | None = None
    foreign: int = 0
    worker_records: list[dict[str, Any]] = field(default_factory=list)
    worker_counts: list[WorkerCount] = field(default_factory=list)
    tracked: list[dict[str, Any]] = field(default_factory=list)
    """Outcomes that an application tracked: rows of `comparison.pairs.tracked`."""
    as_of: int | None = None
    """When what was read was written, in Unix nanoseconds; None if it is being written to."""
    rows: dict[Shape, list[Row]] = field(default_factory=dict)
    row_count: int = 0
    patterns: LinePatterns = field(default_factory=LinePatterns)

    def drain(self) -> Block:
        """Return the columns of the pairs taken since the last call, and forget them."""
        block: Block = {shape: list(zip(*rows, strict=True)) for shape, rows in self.rows.items()}
        for shape, columns in self.patterns.drain():
            parsed = block.get(shape)
            both = zip(parsed, columns, strict=True) if parsed else ()
            block[shape] = [[*first, *second] for first, second in both] or columns
        self.rows, self.row_count = {}, 0
        return block

    def take_lines(self, lines: bytes) -> tuple[int, bytes]:
        """Take, of whole lines, those of shapes seen before; return how many, and the others."""
        count, others = self.patterns.match_all(lines)
        self.lines += count
        self.row_count += count
        return count, others

    def take_line(self, line: bytes) -> int:
        """Take our spans out of one line; return how many of them were corrupt.

        Raises one of _SHAPE_ERRORS if the line is not JSON, or no TracesData object.
        """
        if self.patterns.match(line):
            self.row_count += 1
            return 0
        traces = orjson.loads(line)
        before = self.row_count
        corrupt = self.take(traces)
        if self.row_count == before + 1 and not corrupt and (span := _only_span(traces)):
            self.patterns.learn(line, span, _pair(span)[1])
        return corrupt

    def take(self, traces: Any) -> int:
        """Take our spans out of one TracesData object; return how many of them were corrupt.

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
            except _SHAPE_ERRORS:  # of one resource of several: the others may be ours
                corrupt += 1
                continue
            for name, spans in scopes:
                if name != attributes.SCOPE:
                    self.foreign += len(spans)
                    continue
                for span in spans:
                    try:
                        self._take_span(span, resource)
                    except _SHAPE_ERRORS:
                        corrupt += 1
        return corrupt

    def _take_span(self, span: dict[str, Any], resource: dict[str, Any]) -> None:
        name = span["name"]
        if name == attributes.PAIR_SPAN:
            shape, row = _pair(span)
            rows = self.rows.get(shape)
            if rows is None:
                if not REQUIRED.issubset(shape):
                    raise KeyError(*(REQUIRED - set(shape)))
                rows = self.rows[shape] = []
            rows.append(row)
            self.row_count += 1
        elif name == attributes.WORKER_SPAN:
            self.worker_records.append({**_service(resource), **_held(span["attributes"])})
        elif name == attributes.OUTCOME_SPAN:
            self.tracked.append(tracked_row(span))
        else:
            self.foreign += 1


@dataclass(slots=True)
class Progress:
    """Say how far a file has been read: bytes and lines, and whether a torn line follows."""

    taken: int = 0
    lines: int = 0
    torn: bool = False


def read_blocks(source: Path, counts: ReadCounts) -> Iterator[Block]:
    """Yield the pairs at `source` in blocks of about BLOCK_ROWS rows, and count in `counts`.

    Raises PairsUnreadableError for a file that cannot be opened or holds no JSON at all.
    """
    # Before the pairs: read later, they would count pairs that were made while others were read.
    known = read_counts(source)
    for path in files_with_bar("reading pairs", find_files(source)):
        yield from read_file(path, counts, Progress())
    yield counts.drain()
    counts.worker_counts += known


def read_file(path: Path, counts: ReadCounts, progress: Progress) -> Iterator[Block]:
    """Yield the pairs of one file beyond `progress` in full blocks, and move it on.

    What does not fill a block stays in `counts`. Raises PairsUnreadableError as `read_blocks`.
    """
    try:
        with open_file(path) as file:
            counts.files += 1
            file.seek(progress.taken)
            for _ in _full_blocks(path, _chunks(file), counts, progress):
                yield counts.drain()
    except EOFError:  # it was cut off while it was compressed, or is being compressed
        counts.torn += 1
        progress.torn = True
    except FileNotFoundError:
        return  # the writer removed its oldest file while we read another
    except OSError as error:
        raise PairsUnreadableError(path, error.strerror or str(error)) from error


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield whole lines together, and last what has no end of a line."""
    rest: list[bytes] = []
    while data := file.read(_CHUNK_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join((*rest, data[:end]))
            rest = []
        rest.append(data[end:])
    if last := b"".join(rest):
        yield last


def _full_blocks(
    path: Path, chunks: Iterable[bytes], counts: ReadCounts, progress: Progress
) -> Iterator[None]:
    """Read the lines of one file, pausing whenever a block is full."""
    file = _File(path, counts, progress)
    for chunk in chunks:
        if not file.take(chunk):
            break
        if counts.row_count >= BLOCK_ROWS:
            yield
    if file.first_unreadable and not file.json_seen:
        raise PairsUnreadableError(path, "not JSON", file.first_unreadable)


class _File:
    """Take the lines of one file, and remember what it looks like."""

    def __init__(self, path: Path, counts: ReadCounts, progress: Progress) -> None:
        self._path = path
        self._counts = counts
        self._progress = progress
        self.first_unreadable: int | None = None
        self.json_seen = progress.taken > 0

    def take(self, chunk: bytes) -> bool:
        """Take whole lines, or the one without an end; say whether it was not a torn one."""
        progress = self._progress
        taken, others = 0, chunk
        if chunk.endswith(b"\n"):
            taken, others = self._counts.take_lines(chunk)
            self.json_seen |= taken > 0
        for line in BytesIO(others):
            if not line.isspace() and not self._take_line(line, chunk):
                return False
            taken += 1
        progress.taken += len(chunk)
        progress.lines += taken
        return True

    def _take_line(self, line: bytes, chunk: bytes) -> bool:
        """Take one line of a chunk; say whether it was not a torn one."""
        counts = self._counts
        counts.lines += 1
        try:
            corrupt = counts.take_line(line)
            self.json_seen = True
        except _SHAPE_ERRORS:
            begins_well = line[:1] in (b"{", b"\0")  # a power cut can leave zeros behind
            self.json_seen |= begins_well
            if begins_well and not line.endswith(b"\n"):
                counts.torn += 1
                self._progress.torn = True
                return False
            self.first_unreadable = self.first_unreadable or self._number(line, chunk)
            corrupt = 1
        if corrupt:
            counts.corrupt += corrupt
            if counts.first_corrupt is None:
                counts.first_corrupt = f"{self._path}, line {self._number(line, chunk)}"
        return True

    def _number(self, line: bytes, chunk: bytes) -> int:
        """Return the number, in the file, of the first line of a chunk that is like this one."""
        text = b"\n" + chunk
        return self._progress.lines + text.count(b"\n", 0, text.index(b"\n" + line)) + 1


def _pair(span: dict[str, Any]) -> tuple[Shape, Row]:
    """Return shape and row of a pair span.

    This runs once per pair: the loops over some thirty attributes are left to C.
    """
    began = int(span["startTimeUnixNano"])
    if not span["spanId"] or not 0 < began <= _LAST_NANOSECOND:
        raise ValueError(began)
    pairs = span["attributes"]
    shape = tuple(map(_key_of, pairs))
    held = chain.from_iterable(map(dict.values, map(_value_of, pairs)))
    row = [span["spanId"], span["traceId"], began, *held]
    if len(row) != len(shape) + 3:  # an empty AnyValue, {}, is a null
        row[3:] = [_only(_value_of(pair)) for pair in pairs]
    return shape, row


def _only_span(traces: dict[str, Any]) -> dict[str, Any] | None:
    """Return the span of a TracesData object that has one; None if it has more."""
    spans: list[dict[str, Any]] = [
        span
        for resource in traces["resourceSpans"]
        for scope in resource.get("scopeSpans") or ()
        for span in scope.get("spans") or ()
    ]
    return spans[0] if len(spans) == 1 else None


def _scope(scope: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return name and spans of a ScopeSpans object; in JSON, null is as good as absent."""
    return (scope.get("scope") or {}).get("name"), scope.get("spans") or []


def _held(pairs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return attributes by their keys."""
    return {_key_of(pair): _only(_value_of(pair)) for pair in pairs}


def _service(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the name of the service that a resource is of, nothing where it has none."""
    held = _held((resource.get("resource") or {}).get("attributes") or ())
    name = held.get(attributes.SERVICE_NAME)
    return {} if name is None else {attributes.SERVICE_NAME: name}


def _only(value: dict[str, Any]) -> Any:
    """Return what an OTLP AnyValue holds: it has one entry, named after the type, or none."""
    return next(iter(value.values()), None)
