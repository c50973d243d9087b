"""Pair files: a thread writes encoded spans to disk within 0.2 seconds and counts lost ones."""

import collections
import errno
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from errno import EWOULDBLOCK
from functools import partial
from pathlib import Path
from typing import Final

from flags.export.closed_files import (
    PREFIX,
    PRUNED,
    SUFFIX,
    ClosedFiles,
    RetentionPolicy,
    has_compressed_copy,
)
from flags.export.otlp_json import LineFrame
from flags.files import lock_file

logger = logging.getLogger(__name__)

QUEUE_FULL: Final = "queue_full"
CLOSED: Final = "closed"
"""Reasons of dropped pairs. Other reasons are error names of the disk, such as `enospc`."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Limits of the pair files, in bytes and seconds."""

    flush_interval: float = 0.2
    """Between two writes to disk; `kill -9` loses at most the pairs of this time."""
    rotate_bytes: int = 64 * 2**20
    """A file that has reached this size is closed and the next one is opened."""
    max_bytes: int = 2 * 2**30
    """All pair files of the folder together. Beyond it, closed files are removed: first shipped
    ones, then the oldest."""
    queue_bytes: int = 32 * 2**20
    """Spans that wait in memory while the disk cannot be written; further ones are dropped."""
    compression: str | None = "zstd"
    """Of closed files: `zstd`, `gzip` or None."""


LINE_BYTES: Final = 2**16
"""Most bytes of the spans on one line; a single longer span has its own line. A collector accepts
lines of 1 MiB, and a power cut in the middle of a line costs all of its pairs."""


class PairFiles:
    """The pair files `<folder>/pairs-<name>-<number>.jsonl` of one worker, written by a thread.

    Spans that wait at the same time share lines. `append` never blocks and never raises. While the
    disk cannot be written (full, read-only, folder removed), spans wait in memory up to a limit;
    later ones are dropped and counted by reason. Writing resumes by itself.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        limits: FileLimits | None = None,
        *,
        dropped: Callable[[str, int], None] | None = None,
        is_shipped: bool = False,
    ) -> None:
        self._folder = folder
        self._name = name
        self._limits = limits or FileLimits()
        self._on_dropped = dropped
        self._queue: collections.deque[bytes] = collections.deque()
        self._queued = 0
        self._lock = threading.Lock()
        self._file: _OpenFile | None = None
        self._number = 0
        self._failing: str | None = None
        self._start_record = b""
        self._frame: LineFrame | None = None
        self._is_lost = False
        self._closing = threading.Event()
        self.written = 0
        self.dropped: Counter[str] = Counter()
        policy = RetentionPolicy(self._limits.compression, self._limits.max_bytes, is_shipped)
        self._closed = ClosedFiles(folder, policy, partial(self._drop, PRUNED))
        self._thread = threading.Thread(target=self._run, name="pair-files", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Return the number of spans that wait to be written to disk."""
        return len(self._queue)

    def begin(self, span: bytes, frame: LineFrame) -> bool:
        """Queue the start record; it is written again if the file that holds it is removed.

        Lines consist of `frame` and spans. Without `begin`, queued items are whole lines.
        """
        self._start_record, self._frame = span, frame
        return self.append(span)

    def append(self, span: bytes) -> bool:
        """Queue one span; return False if it was dropped."""
        with self._lock:
            if self._closing.is_set():
                reason = CLOSED
            elif self._queued + len(span) <= self._limits.queue_bytes:
                self._queue.append(span)
                self._queued += len(span)
                return True
            else:
                reason = self._failing or QUEUE_FULL
        self._drop(reason, 1)
        return False

    def close(self, final: Iterable[bytes] = (), within: float = 5.0) -> int:
        """Write the queued spans and `final`, and stop; return the number of spans not written."""
        for span in final:
            self.append(span)
        self._closing.set()
        self._thread.join(within)
        left = len(self._queue)
        if left:
            self._drop(self._failing or CLOSED, left)
        self._closed.close(within)
        return left

    def _run(self) -> None:
        while not self._closing.wait(self._limits.flush_interval):
            self._flush()
        self._flush()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        with self._lock:
            spans = list(self._queue)
        if not spans:
            return
        try:
            self._write(b"".join(self._lines(spans)))
        except OSError as error:
            self._note_failure(error)
            return
        with self._lock:
            for span in spans:
                self._queue.popleft()
                self._queued -= len(span)
        self.written += len(spans)
        if self._failing is not None:
            logger.warning("pairs are written to %s again", self._folder)
            self._failing = None

    def _lines(self, spans: Sequence[bytes]) -> Iterator[bytes]:
        """Yield lines of spans, each up to LINE_BYTES."""
        if self._frame is None:
            yield from spans
            return
        begin = size = 0
        for place, span in enumerate(spans):
            if size and size + len(span) > LINE_BYTES:
                yield self._frame.line(spans[begin:place])
                begin, size = place, 0
            size += len(span) + 1
        yield self._frame.line(spans[begin:])

    def _write(self, lines: bytes) -> None:
        file = self._current()
        file.write(lines)
        if not file.in_place():
            # The folder or the file was removed meanwhile: write the lines to a new file. If the
            # old file turns up again, readers drop duplicates by span id.
            self._current().write(lines)

    def _current(self) -> "_OpenFile":
        file = self._file
        if file is not None and not file.in_place():
            logger.warning("%s was removed or moved while it was written to", file)
            self._is_lost = True
        if file is not None and (self._is_lost or file.size >= self._limits.rotate_bytes):
            file.close()
            file = self._file = None
        if file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._next_path()
            file = self._file = _OpenFile(path)
            if self._is_lost:
                # With the start record, readers expect this worker's pairs from 1 on and see which
                # are missing (unless the lost file turns up).
                file.write(b"".join(self._lines([self._start_record])))
                self._is_lost = False
            self._closed.scan(path)
        return file

    def _next_path(self) -> Path:
        """Return the next path for which no compressed file exists."""
        while True:
            self._number += 1
            path = self._folder / f"{PREFIX}{self._name}-{self._number:05d}{SUFFIX}"
            if not has_compressed_copy(path):
                return path

    def _note_failure(self, error: OSError) -> None:
        reason = errno.errorcode.get(error.errno or 0, "OSERROR").lower()
        if self._failing != reason:
            logger.warning(
                "pairs cannot be written to %s (%s); they wait in memory, answers go on",
                self._folder,
                error.strerror,
            )
        self._failing = reason

    def _drop(self, reason: str, count: int) -> None:
        with self._lock:
            self.dropped[reason] += count
        if self._on_dropped is not None:
            self._on_dropped(reason, count)


class _OpenFile:
    """One pair file, locked while it is open; it only grows, and by whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._inode = os.fstat(self._handle).st_ino
        self.size = os.fstat(self._handle).st_size
        try:
            if not lock_file(self._handle):
                raise BlockingIOError(EWOULDBLOCK, "is written by another process", str(path))
        except OSError:
            self.close()
            raise

    def write(self, data: bytes) -> None:
        """Append `data`, all of it or nothing."""
        done = 0
        try:
            while done < len(data):
                done += os.write(self._handle, data[done:])
        except OSError:
            os.ftruncate(self._handle, self.size)
            raise
        self.size += len(data)

    def __str__(self) -> str:
        """Return the file's name."""
        return self._path.name

    def in_place(self) -> bool:
        """Say whether the path still leads to this file."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; remove it if it is empty."""
        if self.size == 0 and self.in_place():
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def file_name(service: str, worker: str) -> str:
    """Return `<start time>-<service>-<worker>` for the names of a worker's pair files."""
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    safe = "".join(char if char.isalnum() else "-" for char in service)
    return f"{started}-{safe}-{worker[:8]}"
