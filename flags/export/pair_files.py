"""Pair files: encoded pairs reach the disk within a fraction of a second, all counted."""

import collections
import contextlib
import errno
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from errno import EWOULDBLOCK
from pathlib import Path
from typing import Final

from flags.export.shipped_file import position_path, shipped_position
from flags.files import lock_file

logger = logging.getLogger(__name__)

PREFIX: Final = "pairs-"
SUFFIX: Final = ".jsonl"
QUEUE_FULL: Final = "queue_full"
PRUNED: Final = "pruned"
CLOSED: Final = "closed"
"""Why a line was dropped, besides the name of the error that the disk gave, such as `enospc`."""


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


class PairFiles:
    """Write lines to `<folder>/pairs-<name>-<number>.jsonl`, in a thread of its own.

    `append` never blocks and never raises. While the disk refuses (full, read-only, folder gone),
    lines wait in memory up to a bound, later ones are dropped and counted by reason, and writing
    resumes by itself.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        limits: FileLimits | None = None,
        *,
        dropped: Callable[[str, int], None] | None = None,
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
        self._head = b""
        self._taken_away = False
        self._closing = threading.Event()
        self.written = 0
        self.dropped: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name="pair-files", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Return the number of lines that are not on disk yet."""
        return len(self._queue)

    def begin(self, line: bytes) -> bool:
        """Queue the line with which the record starts; it is written again if its file is lost."""
        self._head = line
        return self.append(line)

    def append(self, line: bytes) -> bool:
        """Queue one line; say whether it was taken."""
        with self._lock:
            if self._closing.is_set():
                reason = CLOSED
            elif self._queued + len(line) <= self._limits.queue_bytes:
                self._queue.append(line)
                self._queued += len(line)
                return True
            else:
                reason = self._failing or QUEUE_FULL
        self._drop(reason, 1)
        return False

    def close(self, final: Iterable[bytes] = (), within: float = 5.0) -> int:
        """Write what is queued and `final`, and stop; return how many lines were lost."""
        for line in final:
            self.append(line)
        self._closing.set()
        self._thread.join(within)
        left = len(self._queue)
        if left:
            self._drop(self._failing or CLOSED, left)
        return left

    def _run(self) -> None:
        while not self._closing.wait(self._limits.flush_interval):
            self._flush()
        self._flush()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        with self._lock:
            lines = list(self._queue)
        if not lines:
            return
        try:
            self._write(lines)
        except OSError as error:
            self._refused(error)
            return
        with self._lock:
            for line in lines:
                self._queue.popleft()
                self._queued -= len(line)
        self.written += len(lines)
        if self._failing is not None:
            logger.warning("pairs are written to %s again", self._folder)
            self._failing = None

    def _write(self, lines: list[bytes]) -> None:
        file = self._current()
        file.write(b"".join(lines))
        if not file.in_place():
            # The folder or the file was removed meanwhile: write the lines to a new file. Should
            # the old one turn up again, readers drop the doubles by their span id.
            self._current().write(b"".join(lines))

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
            self._number += 1
            path = self._folder / f"{PREFIX}{self._name}-{self._number:05d}{SUFFIX}"
            file = self._file = _OpenFile(path)
            if self._taken_away:
                # So readers count from 1 again, and see what is missing unless the file turns up.
                file.write(self._head)
                self._taken_away = False
            self._prune()
        return file

    def _prune(self) -> None:
        files = _dispensable_first(self._folder)
        total = sum(size for _, _, size, _ in files)
        for _, _, size, path in files:
            if total <= self._limits.max_bytes:
                return
            lines = _remove_if_closed(path)
            if lines is None:
                continue
            total -= size
            if lines:
                self._drop(PRUNED, lines)
                logger.warning(
                    "pair file %s with %d lines that are nowhere else was removed: "
                    "the folder exceeds %d bytes",
                    path.name,
                    lines,
                    self._limits.max_bytes,
                )

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


def _dispensable_first(folder: Path) -> list[tuple[bool, int, int, Path]]:
    """Return of each pair file whether it is to be shipped, its last change, size and path."""
    found: list[tuple[bool, int, int, Path]] = []
    for path in folder.glob(f"{PREFIX}*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # another worker removed it
            stat = path.stat()
            unshipped = shipped_position(path) < stat.st_size
            found.append((unshipped, stat.st_mtime_ns, stat.st_size, path))
    return sorted(found)


def _remove_if_closed(path: Path) -> int | None:
    """Remove a file that no worker has open, and what says how far it was shipped.

    Return the number of its lines that were not shipped; None if it stays.
    """
    try:
        with path.open("rb") as file:
            if not lock_file(file.fileno()):
                return None
            file.seek(shipped_position(path))
            lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))
            path.unlink()
            position_path(path).unlink(missing_ok=True)
            return lines
    except FileNotFoundError:  # another worker removed it, and counted it
        return 0
    except OSError:
        return None


def file_name(service: str, worker: str) -> str:
    """Return the part of a pair file's name that tells when, what and which worker."""
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    safe = "".join(char if char.isalnum() else "-" for char in service)
    return f"{started}-{safe}-{worker[:8]}"
