"""Keep a worker's count of its pairs where a loss of pair files does not take it along.

A file of a fixed size, written in place: a full disk, which refuses every further pair, does not
refuse it. It stays when the worker has gone, as long as its pairs are of interest.
"""

import contextlib
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

FOLDER: Final = ".workers"
"""Name of the folder, inside that of the pairs, in which workers tell of themselves."""

SUFFIX: Final = ".count"

_SIZE: Final = 512
"""Bytes of the file, the rest filled with spaces: one block of a disk, written in one step."""

_KEPT: Final = 90 * 86_400
"""Seconds since its last change after which a file is removed."""


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """What a worker had made at one moment; `at` is in Unix nanoseconds."""

    worker: str
    pairs: int
    """The last sequence number given out."""
    dropped: int
    at: int
    most: int = 0
    """The most pairs that it made between two counts."""
    closed: bool = False
    """Whether it has ended in order, and this is its last count."""
    service: str | None = None
    """The service that it runs: several may share a folder."""


class CountFile:
    """The file of one worker in `pairs_dir`; nothing here raises but `write`."""

    def __init__(self, pairs_dir: Path, worker: str, service: str | None = None) -> None:
        self._path = pairs_dir / FOLDER / f"{worker}{SUFFIX}"
        self._worker = worker
        self._service = service
        self._pairs = self._most = 0
        _remove_old(self._path.parent)

    def write(self, pairs: int, dropped: int, *, closed: bool = False) -> None:
        """Write the count of this moment. Raises OSError."""
        self._most = max(self._most, pairs - self._pairs)
        self._pairs = pairs
        count = WorkerCount(
            self._worker, pairs, dropped, time.time_ns(), self._most, closed, self._service
        )
        text = orjson.dumps(asdict(count)).ljust(_SIZE - 1) + b"\n"
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # the folder was removed
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(handle, text, 0)
        finally:
            os.close(handle)


def read_counts(place: Path) -> list[WorkerCount]:
    """Return the counts of all workers that wrote below a folder; none that is unreadable."""
    found = []
    for path in sorted(place.rglob(f"{FOLDER}/*{SUFFIX}")) if place.is_dir() else ():
        with contextlib.suppress(OSError, TypeError, ValueError):  # a crash may leave it empty
            count = WorkerCount(**orjson.loads(path.read_bytes()))
            if count.worker == path.stem:
                found.append(count)
    return found


def _remove_old(folder: Path) -> None:
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _KEPT:
                path.unlink()
