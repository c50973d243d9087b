"""Read pair files: one OTLP/JSON TracesData object a line, of which only our spans are taken.

Format: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/. A file may still be
written to, may have been cut by a crash, and may have passed through a collector that put several
resources, or spans of other programs, on a line: all that is counted, and reading goes on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import orjson

from comparison.errors import PairsUnreadableError
from flags import attributes

BLOCK_ROWS: Final = 16_384
"""Rows that are kept as Python objects before they become columns."""

_BUFFER_BYTES: Final = 2**20

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

Rows = dict[Shape, list[Row]]


@dataclass(slots=True)
class Reading:
    """Count what the lines read so far held; keep pair rows until they are drained."""

    files: int = 0
    lines: int = 0
    torn: int = 0
    corrupt: int = 0
    first_corrupt: str | None = None
    foreign: int = 0
    worker_records: list[dict[str, Any]] = field(default_factory=list)
    rows: Rows = field(default_factory=dict)
    row_count: int = 0

    def drain(self) -> Rows:
        """Return the rows taken since the last call, and forget them."""
        rows, self.rows, self.row_count = self.rows, {}, 0
        return rows

    def take(self, traces: Any) -> int:
        """Take our spans out of one TracesData object; return how many of them were corrupt.

        Raises AttributeError, KeyError or TypeError if it is no TracesData object.
        """
        resources = traces.get("resourceSpans")
        if resources is None:  # metrics, logs, or no telemetry at all
            self.foreign += 1
            return 0
        corrupt = 0
        for resource in resources:
            for scope in resource.get("scopeSpans", ()):
                spans = scope.get("spans", ())
                if scope.get("scope", {}).get("name") != attributes.SCOPE:
                    self.foreign += len(spans)
                    continue
                for span in spans:
                    try:
                        self._take_span(span)
                    except _SHAPE_ERRORS:
                        corrupt += 1
        return corrupt

    def _take_span(self, span: dict[str, Any]) -> None:
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
            self.worker_records.append(
                {_key_of(pair): _only(_value_of(pair)) for pair in span["attributes"]}
            )
        else:
            self.foreign += 1


def find_files(source: Path) -> list[Path]:
    """Return the pair files at `source`: itself, or every *.jsonl below it, sorted.

    Raises PairsUnreadableError if there is nothing at `source`.
    """
    if source.is_dir():
        return sorted(path for path in source.rglob("*.jsonl") if path.is_file())
    if not source.exists():
        raise PairsUnreadableError(source, "no such file or folder")
    return [source]


def read_blocks(source: Path, reading: Reading) -> Iterator[Rows]:
    """Yield the pairs at `source` in blocks of about BLOCK_ROWS rows, and count in `reading`.

    Raises PairsUnreadableError for a file that cannot be opened or holds no JSON at all.
    """
    for path in find_files(source):
        try:
            with path.open("rb", buffering=_BUFFER_BYTES) as lines:
                reading.files += 1
                for _ in _full_blocks(path, lines, reading):
                    yield reading.drain()
        except FileNotFoundError:
            continue  # the writer removed its oldest file while we read another
        except OSError as error:
            raise PairsUnreadableError(path, error.strerror or str(error)) from error
    yield reading.drain()


def _full_blocks(path: Path, lines: Iterable[bytes], reading: Reading) -> Iterator[None]:
    """Read the lines of one file, pausing whenever a block is full."""
    first_unreadable: int | None = None
    json_seen = False
    for number, line in enumerate(lines, start=1):
        if line.isspace():
            continue
        reading.lines += 1
        try:
            corrupt = reading.take(orjson.loads(line))
            json_seen = True
        except _SHAPE_ERRORS:
            begins_well = line[:1] in (b"{", b"\0")  # a power cut can leave zeros behind
            json_seen |= begins_well
            if begins_well and not line.endswith(b"\n"):
                reading.torn += 1
                break
            first_unreadable = first_unreadable or number
            corrupt = 1
        if corrupt:
            reading.corrupt += corrupt
            reading.first_corrupt = reading.first_corrupt or f"{path}, line {number}"
        if reading.row_count >= BLOCK_ROWS:
            yield
    if first_unreadable and not json_seen:
        raise PairsUnreadableError(path, "not JSON", first_unreadable)


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


def _only(value: dict[str, Any]) -> Any:
    """Return what an OTLP AnyValue holds: it has one entry, named after the type, or none."""
    return next(iter(value.values()), None)
