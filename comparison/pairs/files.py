"""A reader of pair files: one OTLP/JSON TracesData object a line, with our spans in it.

Format: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/. A file may still be
written to, may have been cut by a crash, and may have passed through a collector that put several
resources, or spans of other programs, on a line: all that is counted, and reading goes on.
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
from comparison.pairs.spans.text import FARTHEST
from flags.export.compression import DamagedFileError
from flags.export.worker_count import read_counts

BLOCK_ROWS: Final = 4_096
"""Rows that are kept as Python objects before they become columns: few enough for the cache."""

_CHUNK_BYTES: Final = 2**23
"""Bytes that are read at a time: numpy goes through some three thousand pairs at once."""

_ZEROS: Final = bytes(FARTHEST)


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
