"""Count files: each worker's number of pairs, kept apart from the pair files, which may be lost.

The file has a fixed size and is written in place, so it can be updated even if the disk is full. It
stays for 90 days after the worker has ended.
"""

import contextlib
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

FOLDER: Final = ".workers"
"""Name of the folder for files about workers, inside the folder of pairs."""

SUFFIX: Final = ".count"

_SIZE: Final = 512
"""Bytes of the file, padded with spaces: one disk block, written in one step."""

_RETENTION: Final = 90 * 86_400
"""Seconds after its last change at which a file is removed."""


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """A worker's counts at one moment."""

    worker: str
    pairs: int
    """The last sequence number assigned to a pair."""
    dropped: int
    """Pairs that could not be written."""
    at: int
    """Unix nanoseconds."""
    most: int = 0
    """The largest number of pairs between two counts."""
    closed: bool = False
    """Whether the worker has ended in order, and this is its last count."""
    service: str | None = None
    """The worker's service: several services may share a folder."""


class CountFile:
    """The count file of one worker in `pairs_dir`; only `write` raises."""

    def __init__(self, pairs_dir: Path, worker: str, service: str | None = None) -> None:
        self._path = pairs_dir / FOLDER / f"{worker}{SUFFIX}"
        self._worker = worker
        self._service = service
        self._pairs = self._most = 0
        _remove_old(self._path.parent)

    def write(self, pairs: int, dropped: int, *, closed: bool = False) -> None:
        """Write the current count. Raises OSError."""
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
    """Return the readable counts of all workers in a folder and its subfolders."""
    found = []
    for path in sorted(place.rglob(f"{FOLDER}/*{SUFFIX}")) if place.is_dir() else ():
        with contextlib.suppress(
            OSError, TypeError, ValueError
        ):  # a crash may leave the file empty
            count = WorkerCount(**orjson.loads(path.read_bytes()))
            if count.worker == path.stem:
                found.append(count)
    return found


def _remove_old(folder: Path) -> None:
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _RETENTION:
                path.unlink()
