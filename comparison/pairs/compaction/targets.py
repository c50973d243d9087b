"""Where a compaction writes: a folder, or one in an object store. A run counts whole or not at all.

In a folder, a run is committed by renaming what it wrote. In a store nothing is renamed: files are
uploaded, and count from the moment on at which `compaction.json` names their run.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol
from uuid import uuid4

import orjson

from comparison.errors import CompactionError
from comparison.pairs.compacted import (
    COUNTS,
    OUTCOMES,
    PAIRS,
    REPEATED,
    WORKERS,
    CompactionState,
    committed,
    read_state,
)
from comparison.pairs.opening import STATE_FILE, is_compacted
from comparison.pairs.stores.folders import StorePath
from flags.files import lock_file

_STAGING: Final = ".run"
_COMMITTED: Final = ".committed"
_LOCK: Final = ".lock"

LOCKS: Final = ".locks"
"""Folder of a store in which each run leaves a file while it lasts."""

_DEAD: Final = 15 * 60
"""Seconds after its last sign from which on a run in a store counts as ended."""

_UPLOADS: Final = 4


class Target(Protocol):
    """Take what a run writes."""

    def locked(self) -> AbstractContextManager[Path]:
        """Keep other runs out, clear what a broken one left, and give a folder to write to.

        Raises CompactionError if the place holds something else, or another run writes to it.
        """

    def alive(self) -> None:
        """Give a sign to other runs that this one lasts."""

    def commit(self) -> None:
        """Let what was written count, and last of it the state."""


def target_at(into: Path) -> Target:
    """Return what writes to a place that `folder_at` returned."""
    return StoreTarget(into) if isinstance(into, StorePath) else FolderTarget(into)


class FolderTarget:
    """Write to a folder of this machine."""

    def __init__(self, into: Path) -> None:
        self._into = into

    @contextmanager
    def locked(self) -> Iterator[Path]:
        """Lock by flock, which ends with the process.

        Raises CompactionError if another run has it, or if the folder holds something else.
        """
        into = self._into
        if into.exists() and not into.is_dir():
            raise CompactionError(f"{into} is not a folder")
        if into.is_dir() and any(into.iterdir()) and not (into / _LOCK).exists():
            raise CompactionError(f"{into} holds something else; name an empty or a new folder")
        into.mkdir(parents=True, exist_ok=True)
        handle = os.open(into / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not lock_file(handle):
                raise CompactionError(f"{into} is being written by another run")
            self._finish()
            yield into / _STAGING
        finally:
            os.close(handle)

    def alive(self) -> None:
        """Give none: the lock does."""

    def commit(self) -> None:
        """Rename the folder, then move its files to their places."""
        (self._into / _STAGING).rename(self._into / _COMMITTED)
        self._finish()

    def _finish(self) -> None:
        """Move what the last run committed and did not get to move; forget what it did not."""
        into, committed_files = self._into, self._into / _COMMITTED
        if (into / _STAGING).exists():
            shutil.rmtree(into / _STAGING)
        if not committed_files.is_dir():
            return
        for path in sorted(committed_files.rglob("*.parquet")):
            place = into / path.relative_to(committed_files)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
        # The state comes last: with it, the lines count as taken.
        with suppress(FileNotFoundError):
            (committed_files / STATE_FILE).replace(into / STATE_FILE)
        shutil.rmtree(committed_files)


class StoreTarget:
    """Write to a folder of an object store, through a temporary one of this machine."""

    def __init__(self, into: StorePath) -> None:
        self._into = into
        self._lock = into / LOCKS / f"{uuid4().hex}.json"
        self._staging = Path()
        began = datetime.now(UTC).isoformat(timespec="seconds")
        self._sign = orjson.dumps({"host": socket.gethostname(), "pid": os.getpid(), "at": began})

    @contextmanager
    def locked(self) -> Iterator[Path]:
        """Leave a file, then look for those of others: of two at once, at least one sees two.

        That holds since a listing shows each file that was written before, in all three stores.
        """
        self._check_empty()
        self.alive()
        try:
            self._check_alone()
            self._clear()
            with tempfile.TemporaryDirectory(prefix="bentoml-flags-") as folder:
                self._staging = Path(folder) / "run"
                yield self._staging
        finally:
            self._lock.unlink()

    def alive(self) -> None:
        """Write the file anew: its time is that of the store's clock."""
        self._lock.write_bytes(self._sign)

    def commit(self) -> None:
        """Upload the files, and the state when all are there.

        Raises CompactionError if another run has taken its place.
        """
        paths = sorted(self._staging.rglob("*.parquet"))
        with ThreadPoolExecutor(_UPLOADS) as threads:
            list(threads.map(self._upload, paths))
        if not self._lock.is_file():
            raise CompactionError(
                f"{self._into}: this run gave no sign for too long, and another one took its "
                "place; nothing of it counts, so run it again"
            )
        (self._into / STATE_FILE).write_bytes((self._staging / STATE_FILE).read_bytes())

    def _upload(self, path: Path) -> None:
        place = self._into / path.relative_to(self._staging)
        with path.open("rb") as file, place.open("wb") as stored:
            shutil.copyfileobj(file, stored, 2**20)
        self.alive()

    def _check_empty(self) -> None:
        there = next(iter(self._into.rglob("*")), None)
        if there is None or is_compacted(self._into.as_path):
            return
        if not any(path.parent.name == LOCKS for path in self._into.rglob("*.json")):
            raise CompactionError(
                f"{self._into} holds something else ({there.name}); name a folder without files"
            )

    def _check_alone(self) -> None:
        signs = list((self._into / LOCKS).glob("*.json"))
        ours = self._lock.stat()
        for each in signs:
            if each == self._lock:
                continue
            if ours.st_mtime_ns - each.stat().st_mtime_ns < _DEAD * 1_000_000_000:
                raise CompactionError(
                    f"{self._into} is being written by another run ({_told(each)}); if that has "
                    f"died, wait {_DEAD // 60} minutes or remove {each}"
                )
            each.unlink()

    def _clear(self) -> None:
        """Remove what a run that ended before its state was written has uploaded."""
        found = self._into.as_path
        state = read_state(found) if is_compacted(found) else CompactionState()
        for name in (PAIRS, WORKERS, COUNTS, REPEATED, OUTCOMES):
            every = list((self._into / name).rglob("*.parquet"))
            kept = set(committed((path.as_path for path in every), state.runs))
            for path in every:
                if path.as_path not in kept:
                    path.unlink()


def _told(sign: StorePath) -> str:
    """Say in words which run left a file."""
    try:
        told = orjson.loads(sign.read_bytes())
        return f"process {int(told['pid'])} of {told['host']} since {told['at']}"
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return "it does not say which"
