"""A reader of pair files: one OTLP/JSON TracesData object a line, with our spans in it.

Format: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/. A file may still be
written to, may have been cut by a crash, and may have passed through a collector that put several
resources, or spans of other programs, on a line: all that is counted, and reading goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import orjson

from comparison.errors import PairsUnreadableError
from comparison.pairs.opening import find_files, open_file
from comparison.pairs.pair_row import (
    REQUIRED,
    SHAPE_ERRORS,
    Columns,
    Row,
    Shape,
    key_of,
    only,
    pair_row,
    value_of,
)
from comparison.pairs.progress_bar import files_with_bar
from comparison.pairs.span_lines import SpanLines
from comparison.pairs.span_text import FARTHEST
from comparison.pairs.tracked import tracked_row
from comparison.pairs.values import joined
from flags.compression import DamagedFileError
from flags.export import attributes
from flags.export.worker_count import WorkerCount, read_counts

BLOCK_ROWS: Final = 4_096
"""Rows that are kept as Python objects before they become columns: few enough for the cache."""

_CHUNK_BYTES: Final = 2**23
"""Bytes that are read at a time: numpy goes through some three thousand pairs at once."""

_ZEROS: Final = bytes(FARTHEST)

_TIME: Final = 2
"""The place of the time in a row."""

Block = dict[Shape, Columns]
"""Columns by shape: one for each entry of a row."""


@dataclass(slots=True)
class ReadCounts:
    """Count what the lines read so far held; keep pair rows until they are drained."""

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
    """When what was read was written, in Unix nanoseconds; None if it is being written to."""
    rows: dict[Shape, list[Row]] = field(default_factory=dict)
    row_count: int = 0
    columns: list[tuple[Shape, Columns]] = field(default_factory=list)
    span_lines: SpanLines = field(default_factory=SpanLines)

    def add(self, other: "ReadCounts") -> None:
        """Add what was counted in a file that was read after these, but for its rows."""
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
        """Count a file that ends early, behind the lines that have been taken."""
        self.torn += 1
        self.first_torn = self.first_torn or torn_place(path, progress.lines)
        progress.torn = True

    def drain(self) -> Block:
        """Return the columns of the pairs taken since the last call, and forget them.

        Shapes come in the order of their first pairs, whoever read these: so do outputs.
        """
        parts = [*self.columns]
        parts += [(shape, [*zip(*rows, strict=True)]) for shape, rows in self.rows.items()]
        block: Block = {}
        for shape, columns in sorted(parts, key=_began):
            before = block.get(shape)
            both = zip(before, columns, strict=True) if before else ()
            block[shape] = [joined(first, second) for first, second in both] or columns
        self.rows, self.columns, self.row_count = {}, [], 0
        return block

    def take_lines(
        self, data: bytearray, starts: Sequence[int], ends: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Take those lines of a text that are written as we write them; return which are left.

        Also return the lines of spans that were corrupt. The text is as `SpanLines` wants it.
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
            except SHAPE_ERRORS:  # of one resource of several: the others may be ours
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


def torn_place(path: Path | str, lines: int) -> str:
    """Say where a file ends early."""
    return f"{path}, after line {lines:,}"


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
    except DamagedFileError as error:  # or it is being compressed just now
        if not progress.taken:
            raise PairsUnreadableError(path, str(error)) from error
        counts.tear(path, progress)
    except FileNotFoundError:
        return  # the writer removed its oldest file while we read another
    except OSError as error:
        raise PairsUnreadableError(path, error.strerror or str(error)) from error


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytearray, int]]:
    """Yield whole lines together, and last what has no end of a line, and the size of each.

    Zeros follow. All are in the same memory, one after the other: it takes time to get that much.
    """
    buffer, held, ending = bytearray(_CHUNK_BYTES + FARTHEST), 0, False
    damage: DamagedFileError | None = None
    while not ending:
        if held + FARTHEST >= len(buffer):  # a line that is longer than any
            buffer += bytes(len(buffer))
        while not ending and held + FARTHEST < len(buffer):
            try:
                with memoryview(buffer) as view:
                    read = file.readinto(view[held : len(buffer) - FARTHEST])  # type: ignore[attr-defined]
            except DamagedFileError as error:  # what comes before counts
                read, damage = 0, error
            held, ending = held + read, not read
        end = buffer.rfind(b"\n", 0, held) + 1
        if end:
            rest = bytes(buffer[end:held])
            buffer[end : end + FARTHEST] = _ZEROS
            yield buffer, end
            held = len(rest)
            buffer[:held] = rest
    if damage is not None:
        raise damage
    if held:
        yield buffer, held


def _full_blocks(
    path: Path, chunks: Iterable[tuple[bytearray, int]], counts: ReadCounts, progress: Progress
) -> Iterator[None]:
    """Read the lines of one file, pausing whenever a block is full."""
    file = _File(path, counts, progress)
    for data, size in chunks:
        if not file.take(data, size):
            break
        if counts.row_count >= BLOCK_ROWS:
            yield
    if file.first_unreadable and not file.json_seen:
        raise PairsUnreadableError(path, "not JSON", file.first_unreadable)


def _line_ends(data: bytearray, size: int) -> Iterator[int]:
    end = data.find(b"\n", 0, size)
    while end >= 0:
        yield end
        end = data.find(b"\n", end + 1, size)


class _File:
    """Take the lines of one file, and remember what it looks like."""

    def __init__(self, path: Path, counts: ReadCounts, progress: Progress) -> None:
        self._path = path
        self._counts = counts
        self._progress = progress
        self.first_unreadable: int | None = None
        self.json_seen = progress.taken > 0

    def take(self, data: bytearray, size: int) -> bool:
        """Take whole lines, or the one without an end; say whether it was not a torn one."""
        progress = self._progress
        ends = [*_line_ends(data, size)]
        starts = [0, *(end + 1 for end in ends[:-1])]
        others, corrupt = self._counts.take_lines(data, starts, ends) if ends else ([0], [])
        self.json_seen |= len(others) < len(ends)
        for number in others:
            line = bytes(data[starts[number] : ends[number] if ends else size])
            if line and not line.isspace():
                spoilt = self._take_line(line, bool(ends), progress.lines + number + 1)
                if spoilt is None:
                    return False
                corrupt += [number] * spoilt
        if corrupt:
            self._counts.corrupt += len(corrupt)
            if self._counts.first_corrupt is None:
                first = progress.lines + min(corrupt) + 1
                self._counts.first_corrupt = f"{self._path}, line {first}"
        progress.taken += size
        progress.lines += len(starts)
        return True

    def _take_line(self, line: bytes, has_end: bool, number: int) -> int | None:
        """Take one line; return how much of it was corrupt, None if it is a torn one."""
        counts = self._counts
        counts.lines += 1
        try:
            corrupt = counts.take(orjson.loads(line))
            self.json_seen = True
        except SHAPE_ERRORS:
            begins_well = line[:1] in (b"{", b"\0")  # a power cut can leave zeros behind
            self.json_seen |= begins_well
            if begins_well and not has_end:
                counts.tear(self._path, self._progress)
                return None
            self.first_unreadable = self.first_unreadable or number
            corrupt = 1
        return corrupt


def _began(part: tuple[Shape, Columns]) -> int:
    """Return the time of the first pair of some columns."""
    times = part[1][_TIME]
    return int(times[0])


def _scope(scope: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return name and spans of a ScopeSpans object; in JSON, null is as good as absent."""
    return (scope.get("scope") or {}).get("name"), scope.get("spans") or []


def _held(pairs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return attributes by their keys."""
    return {key_of(pair): only(value_of(pair)) for pair in pairs}


def _service(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the name of the service that a resource is of, nothing where it has none."""
    held = _held((resource.get("resource") or {}).get("attributes") or ())
    name = held.get(attributes.SERVICE_NAME)
    return {} if name is None else {attributes.SERVICE_NAME: name}
