"""The target of a compaction: a local folder, or one in an object store. Commits are atomic.

In a local folder, a run is committed by renaming its staging folder. An object store cannot rename:
files are uploaded, and are committed when `compaction.json` has the number of their run.
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
"""Folder of a store in which each run has a lock file while it lasts."""

_LOCK_EXPIRY: Final = 15 * 60
"""Seconds after the last heartbeat of a run in a store from which on it counts as ended."""

_UPLOADS: Final = 4


class Target(Protocol):
    """Lock the folder, and commit the files of a run to it."""

    def locked(self) -> AbstractContextManager[Path]:
        """Lock out other runs, remove the files of a failed run, and yield the staging folder.

        Raises CompactionError if the place holds something else, or another run writes to it.
        """

    def heartbeat(self) -> None:
        """Show other runs that this one is still running."""

    def commit(self) -> None:
        """Commit the files of the staging folder, and the state after all others."""


def target_at(into: Path) -> Target:
    """Return the target for a path that `folder_at` returned."""
    return StoreTarget(into) if isinstance(into, StorePath) else FolderTarget(into)


class FolderTarget:
    """A target in a folder of this machine."""

    def __init__(self, into: Path) -> None:
        self._into = into

    @contextmanager
    def locked(self) -> Iterator[Path]:
        """Lock with flock, which the end of the process releases.

        Raises CompactionError if another run has the lock, or if the folder holds something else.
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

    def heartbeat(self) -> None:
        """Do nothing: the flock shows that this run is running."""

    def commit(self) -> None:
        """Rename the staging folder, then move its files to their places."""
        (self._into / _STAGING).rename(self._into / _COMMITTED)
        self._finish()

    def _finish(self) -> None:
        """Move the files that a run committed and has not moved; remove uncommitted files."""
        into, committed_files = self._into, self._into / _COMMITTED
        if (into / _STAGING).exists():
            shutil.rmtree(into / _STAGING)
        if not committed_files.is_dir():
            return
        for path in sorted(committed_files.rglob("*.parquet")):
            place = into / path.relative_to(committed_files)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
        # The state is moved last: it marks the lines as read.
        with suppress(FileNotFoundError):
            (committed_files / STATE_FILE).replace(into / STATE_FILE)
        shutil.rmtree(committed_files)


class StoreTarget:
    """A target in a folder of an object store; its staging folder is on this machine."""

    def __init__(self, into: StorePath) -> None:
        self._into = into
        self._lock = into / LOCKS / f"{uuid4().hex}.json"
        self._staging = Path()
        start = datetime.now(UTC).isoformat(timespec="seconds")
        self._owner = orjson.dumps({"host": socket.gethostname(), "pid": os.getpid(), "at": start})

    @contextmanager
    def locked(self) -> Iterator[Path]:
        """Write a lock file, then look for the lock files of other runs.

        Of two runs that start at once, at least one sees both files, since in all three stores a
        listing shows each file that was written before. Raises CompactionError as `Target.locked`.
        """
        self._check_empty()
        self.heartbeat()
        try:
            self._check_alone()
            self._remove_uncommitted()
            with tempfile.TemporaryDirectory(prefix="bentoml-flags-") as folder:
                self._staging = Path(folder) / "run"
                yield self._staging
        finally:
            self._lock.unlink()

    def heartbeat(self) -> None:
        """Rewrite the lock file, so that its time, by the store's clock, is now."""
        self._lock.write_bytes(self._owner)

    def commit(self) -> None:
        """Upload the files, and then the state.

        Raises CompactionError if another run has removed the lock.
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
        self.heartbeat()

    def _check_empty(self) -> None:
        first = next(iter(self._into.rglob("*")), None)
        if first is None or is_compacted(self._into.as_path):
            return
        if not any(path.parent.name == LOCKS for path in self._into.rglob("*.json")):
            raise CompactionError(
                f"{self._into} holds something else ({first.name}); name a folder without files"
            )

    def _check_alone(self) -> None:
        locks = list((self._into / LOCKS).glob("*.json"))
        ours = self._lock.stat()
        for each in locks:
            if each == self._lock:
                continue
            if ours.st_mtime_ns - each.stat().st_mtime_ns < _LOCK_EXPIRY * 1_000_000_000:
                raise CompactionError(
                    f"{self._into} is being written by another run ({_owner(each)}); if that has "
                    f"died, wait {_LOCK_EXPIRY // 60} minutes or remove {each}"
                )
            each.unlink()

    def _remove_uncommitted(self) -> None:
        """Remove the files of a run that ended before it wrote its state."""
        folder = self._into.as_path
        state = read_state(folder) if is_compacted(folder) else CompactionState()
        for name in (PAIRS, WORKERS, COUNTS, REPEATED, OUTCOMES):
            every = list((self._into / name).rglob("*.parquet"))
            kept = set(committed((path.as_path for path in every), state.runs))
            for path in every:
                if path.as_path not in kept:
                    path.unlink()


def _owner(lock: StorePath) -> str:
    """Describe the run that wrote a lock file."""
    try:
        owner = orjson.loads(lock.read_bytes())
        return f"process {int(owner['pid'])} of {owner['host']} since {owner['at']}"
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return "it does not say which"
