"""A reader of pair files: one OTLP/JSON TracesData object a line, with our spans in it.

Format: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/. A worker may still write
to the file, a crash may have cut it, and a collector may have put several resources, or spans of
other programs, on a line. The reader counts such cases and continues.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

import orjson

from comparison.errors import PairsUnreadableError
from comparison.pairs.opening import find_files, open_file
from comparison.pairs.progress_bar import files_with_bar
from comparison.pairs.read_counts import Block, Progress, ReadCounts
from comparison.pairs.spans.row import SHAPE_ERRORS
from comparison.pairs.spans.text import PADDING_BYTES
from flags.export.compression import DamagedFileError
from flags.export.worker_count import read_counts

BLOCK_ROWS: Final = 4_096
"""Rows that are kept as Python objects before they become columns: few enough for the cache."""

_CHUNK_BYTES: Final = 2**23
"""Bytes that are read at a time: numpy processes some three thousand pairs together."""

_PADDING: Final = bytes(PADDING_BYTES)


def read_blocks(source: Path, counts: ReadCounts) -> Iterator[Block]:
    """Yield the pairs at `source` in blocks of about BLOCK_ROWS rows, and count in `counts`.

    Raises PairsUnreadableError for a file that cannot be opened or holds no JSON at all.
    """
    # The workers' counts are read before the pairs: read later, they would include pairs that were
    # written while other files were read.
    worker_counts = read_counts(source)
    for path in files_with_bar("reading pairs", find_files(source)):
        yield from read_file(path, counts, Progress())
    yield counts.drain()
    counts.worker_counts += worker_counts


def read_file(path: Path, counts: ReadCounts, progress: Progress) -> Iterator[Block]:
    """Yield the pairs of one file from `progress` on in full blocks, and advance `progress`.

    Rows that do not fill a block stay in `counts`. Raises PairsUnreadableError as `read_blocks`.
    """
    try:
        with open_file(path) as file:
            counts.files += 1
            file.seek(progress.taken)
            for _ in _full_blocks(path, _chunks(file), counts, progress):
                yield counts.drain()
    except DamagedFileError as error:  # or the worker is still writing the compressed file
        if not progress.taken:
            raise PairsUnreadableError(path, str(error)) from error
        counts.tear(path, progress)
    except FileNotFoundError:
        return  # the writer removed its oldest file while we read another
    except OSError as error:
        raise PairsUnreadableError(path, error.strerror or str(error)) from error


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytearray, int]]:
    """Yield a buffer and the size of its content: whole lines, at the end an incomplete line.

    PADDING_BYTES zeros follow the content. Every chunk reuses the same buffer, since allocating
    one takes time.
    """
    buffer, size, at_end = bytearray(_CHUNK_BYTES + PADDING_BYTES), 0, False
    damage: DamagedFileError | None = None
    while not at_end:
        if size + PADDING_BYTES >= len(buffer):  # a line that is longer than the buffer
            buffer += bytes(len(buffer))
        while not at_end and size + PADDING_BYTES < len(buffer):
            try:
                with memoryview(buffer) as view:
                    read = file.readinto(view[size : len(buffer) - PADDING_BYTES])  # type: ignore[attr-defined]
            except DamagedFileError as error:  # the lines before the damage count
                read, damage = 0, error
            size, at_end = size + read, not read
        end = buffer.rfind(b"\n", 0, size) + 1
        if end:
            rest = bytes(buffer[end:size])
            buffer[end : end + PADDING_BYTES] = _PADDING
            yield buffer, end
            size = len(rest)
            buffer[:size] = rest
    if damage is not None:
        raise damage
    if size:
        yield buffer, size


def _full_blocks(
    path: Path, chunks: Iterable[tuple[bytearray, int]], counts: ReadCounts, progress: Progress
) -> Iterator[None]:
    """Read the lines of one file, and yield whenever `counts` has the rows of a full block."""
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
    """The lines of one file: which of them are JSON, and which is the first that is not."""

    def __init__(self, path: Path, counts: ReadCounts, progress: Progress) -> None:
        self._path = path
        self._counts = counts
        self._progress = progress
        self.first_unreadable: int | None = None
        self.json_seen = progress.taken > 0

    def take(self, data: bytearray, size: int) -> bool:
        """Read whole lines, or the last, incomplete one; return False if that one is torn."""
        progress = self._progress
        ends = [*_line_ends(data, size)]
        starts = [0, *(end + 1 for end in ends[:-1])]
        others, corrupt = self._counts.take_lines(data, starts, ends) if ends else ([0], [])
        self.json_seen |= len(others) < len(ends)
        for number in others:
            line = bytes(data[starts[number] : ends[number] if ends else size])
            if line and not line.isspace():
                corrupt_spans = self._take_line(line, bool(ends), progress.lines + number + 1)
                if corrupt_spans is None:
                    return False
                corrupt += [number] * corrupt_spans
        if corrupt:
            self._counts.corrupt += len(corrupt)
            if self._counts.first_corrupt is None:
                first = progress.lines + min(corrupt) + 1
                self._counts.first_corrupt = f"{self._path}, line {first}"
        progress.taken += size
        progress.lines += len(starts)
        return True

    def _take_line(self, line: bytes, has_end: bool, number: int) -> int | None:
        """Read one line; return how many corrupt parts it has, None if it is torn."""
        counts = self._counts
        counts.lines += 1
        try:
            corrupt = counts.take(orjson.loads(line))
            self.json_seen = True
        except SHAPE_ERRORS:
            may_be_json = line[:1] in (b"{", b"\0")  # a power cut can leave zeros behind
            self.json_seen |= may_be_json
            if may_be_json and not has_end:
                counts.tear(self._path, self._progress)
                return None
            self.first_unreadable = self.first_unreadable or number
            corrupt = 1
        return corrupt
