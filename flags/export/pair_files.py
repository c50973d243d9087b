"""Pair files: encoded spans reach the disk within a fraction of a second, all counted."""

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

from flags.export.closed_files import PREFIX, PRUNED, SUFFIX, ClosedFiles, Keeping, is_taken
from flags.export.otlp_json import LineFrame
from flags.files import lock_file

logger = logging.getLogger(__name__)

QUEUE_FULL: Final = "queue_full"
CLOSED: Final = "closed"
"""Why a pair was dropped, besides the name of the error that the disk gave, such as `enospc`."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Bound what the pair files may take. Bytes and seconds."""

    flush_interval: float = 0.2
    """From the queue to the disk; what `kill -9` can lose."""
    rotate_bytes: int = 64 * 2**20
    """A file that has reached this size is closed and the next one begun."""
    max_bytes: int = 2 * 2**30
    """All pair files of the folder together; of the closed ones, those that have been shipped go
    first, then the oldest."""
    queue_bytes: int = 32 * 2**20
    """Pairs that wait in memory while the disk refuses them; further ones are dropped."""
    compression: str | None = "zstd"
    """Of files that are closed: `zstd`, `gzip` or none."""


LINE_BYTES: Final = 2**16
"""Of the spans that go on one line, unless one alone is longer. A collector takes lines of a MiB,
and a power cut in the middle of a line costs all of its pairs."""


class PairFiles:
    """Write spans to `<folder>/pairs-<name>-<number>.jsonl`, in a thread of its own.

    Those that wait at the same time share lines. `append` never blocks and never raises. While the
    disk refuses (full, read-only, folder gone), they wait in memory up to a bound, later ones are
    dropped and counted by reason, and writing resumes by itself.
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
        self._told = dropped
        self._queue: collections.deque[bytes] = collections.deque()
        self._queued = 0
        self._lock = threading.Lock()
        self._file: _OpenFile | None = None
        self._number = 0
        self._failing: str | None = None
        self._first = b""
        self._frame: LineFrame | None = None
        self._taken_away = False
        self._closing = threading.Event()
        self.written = 0
        self.dropped: Counter[str] = Counter()
        keeping = Keeping(self._limits.compression, self._limits.max_bytes, is_shipped)
        self._closed = ClosedFiles(folder, keeping, partial(self._drop, PRUNED))
        self._thread = threading.Thread(target=self._run, name="pair-files", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Return the number of spans that are not on disk yet."""
        return len(self._queue)

    def begin(self, span: bytes, frame: LineFrame) -> bool:
        """Queue the span with which the record starts; it is written again if its file is lost.

        Spans go on lines within `frame`. Without one, what is queued is taken for lines.
        """
        self._first, self._frame = span, frame
        return self.append(span)

    def append(self, span: bytes) -> bool:
        """Queue one span; say whether it was taken."""
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
        """Write what is queued and `final`, and stop; return how many spans were lost."""
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
            self._refused(error)
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
        """Yield the lines of spans, as many on each as its size allows."""
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
            # The folder or the file was removed meanwhile: write the lines to a new file. Should
            # the old one turn up again, readers drop the doubles by their span id.
            self._current().write(lines)

    def _current(self) -> "_OpenFile":
        file = self._file
        if file is not None and not file.in_place():
            logger.warning("%s was removed or moved while it was written to", file)
            self._taken_away = True
        if file is not None and (self._taken_away or file.size >= self._limits.rotate_bytes):
            file.close()
            file = self._file = None
        if file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._next_path()
            file = self._file = _OpenFile(path)
            if self._taken_away:
                # So readers count from 1 again, and see what is missing unless the file turns up.
                file.write(b"".join(self._lines([self._first])))
                self._taken_away = False
            self._closed.look(path)
        return file

    def _next_path(self) -> Path:
        """Return the next name, which no file that was compressed has had."""
        while True:
            self._number += 1
            path = self._folder / f"{PREFIX}{self._name}-{self._number:05d}{SUFFIX}"
            if not is_taken(path):
                return path

    def _refused(self, error: OSError) -> None:
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
        if self._told is not None:
            self._told(reason, count)


class _OpenFile:
    """One pair file, locked as long as it is open, that only ever grows by whole lines."""

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
        """Say whether the file is still found under its name."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; an empty one is not left behind."""
        if self.size == 0 and self.in_place():
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def file_name(service: str, worker: str) -> str:
    """Return the part of a pair file's name that tells when, what and which worker."""
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    safe = "".join(char if char.isalnum() else "-" for char in service)
    return f"{started}-{safe}-{worker[:8]}"
