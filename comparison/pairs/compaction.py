"""Compaction of pair files to Parquet: each run takes what is new since the last one.

A run writes everything beside the data and commits it by renaming one folder. Killed before, it
leaves nothing that counts; killed after, the next run moves the files that are left to move.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from comparison.errors import CompactionError
from comparison.pairs.compacted import (
    STATE_FILE,
    CompactionState,
    TakenFile,
    is_compacted,
    read_state,
    worker_counts,
)
from comparison.pairs.compaction_parts import PartWriter
from comparison.pairs.files import Progress, ReadCounts, read_file
from comparison.pairs.opening import find_files, is_compressed, open_file
from comparison.pairs.table import Table
from flags.export.worker_count import WorkerCount, read_counts
from flags.files import lock_file

CHUNK_ROWS: Final = 2**19
"""Pairs that are sorted, freed of repetitions and written together; they bound the memory."""

_STAGING: Final = ".run"
_COMMITTED: Final = ".committed"
_LOCK: Final = ".lock"
_BEGIN_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Compacted:
    """Say what one run did; `torn` counts files that end in the beginning of a line."""

    pairs: int
    repeated: int
    files: int
    bytes: int
    torn: int
    corrupt: int
    first_corrupt: str | None
    foreign: int


def compact(source: Path, into: Path) -> Compacted:
    """Take what is new at `source`, a folder of pair files or one, into the folder `into`.

    Raises PairsUnreadableError if `source` is something else, CompactionError if `into` holds
    something else, cannot be written, or is being written by another run.
    """
    files = find_files(source)
    try:
        with _locked(into):
            _finish(into)
            return _Run(into).take(files, read_counts(source))
    except OSError as error:
        raise CompactionError(f"{error.filename or into}: {error.strerror or error}") from error


@contextmanager
def _locked(into: Path) -> Iterator[None]:
    if into.exists() and not into.is_dir():
        raise CompactionError(f"{into} is no folder")
    if into.is_dir() and any(into.iterdir()) and not (into / _LOCK).exists():
        raise CompactionError(f"{into} holds something else; name an empty or a new folder")
    into.mkdir(parents=True, exist_ok=True)
    handle = os.open(into / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not lock_file(handle):
            raise CompactionError(f"{into} is being written by another run")
        yield
    finally:
        os.close(handle)


def _finish(into: Path) -> None:
    """Move what the last run committed and did not get to move; forget what it did not commit."""
    if (into / _STAGING).exists():
        shutil.rmtree(into / _STAGING)
    committed = into / _COMMITTED
    if not committed.is_dir():
        return
    for path in sorted(committed.rglob("*.parquet")):
        place = into / path.relative_to(committed)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
    # The state comes last: with it, the lines count as taken.
    with suppress(FileNotFoundError):
        (committed / STATE_FILE).replace(into / STATE_FILE)
    shutil.rmtree(committed)


class _Run:
    """Write what is new to the staging folder, and commit it."""

    def __init__(self, into: Path) -> None:
        self._into = into
        self._state = read_state(into) if is_compacted(into) else CompactionState()
        self._parts = PartWriter(into, into / _STAGING, self._state.runs + 1)
        self._counts = ReadCounts()
        self._table = Table(self._state.outputs, texts=True)
        self._bytes = 0

    def take(self, files: Iterable[Path], counts: Sequence[WorkerCount]) -> Compacted:
        """Read the files beyond what has been taken; commit if anything came of it."""
        self._counts.worker_counts += self._new(counts)
        taken: dict[str, TakenFile] = {}
        for path in files:
            with suppress(FileNotFoundError):  # the writer removed its oldest file
                taken[str(path.resolve())] = self._take(path)
        self._table.add(self._counts.drain())
        self._write_chunk()
        known = self._state.files
        counted = bool(self._counts.worker_counts)
        changed = any(known.get(name) != file for name, file in taken.items())
        if not self._state.runs or changed or counted:
            self._commit({**known, **taken})
        return Compacted(
            pairs=self._parts.pairs,
            repeated=self._parts.repeated,
            files=len(taken),
            bytes=self._bytes,
            torn=sum(file.torn for file in taken.values()),
            corrupt=self._counts.corrupt,
            first_corrupt=self._counts.first_corrupt,
            foreign=self._counts.foreign,
        )

    def _take(self, path: Path) -> TakenFile:
        known = self._known(path)
        progress = Progress(known.taken, known.lines) if known else Progress()
        begin = progress.taken
        for block in read_file(path, self._counts, progress):
            self._table.add(block)
            if self._table.rows >= CHUNK_ROWS:
                self._write_chunk()
        self._bytes += progress.taken - begin
        digest = _digest(path, progress.taken)
        return TakenFile(progress.taken, progress.lines, digest, progress.torn)

    def _new(self, counts: Sequence[WorkerCount]) -> list[WorkerCount]:
        """Return those that say something else than the last run took."""
        known = set(worker_counts(self._into))
        return [count for count in counts if count not in known]

    def _known(self, path: Path) -> TakenFile | None:
        """Return how far a file was taken, if it is still the same one and has not shrunk."""
        known = self._state.files.get(str(path.resolve()))
        if known is None or (not is_compressed(path) and path.stat().st_size < known.taken):
            return None
        return known if _digest(path, known.taken) == known.begin else None

    def _write_chunk(self) -> None:
        self._parts.write(self._table.frame())
        self._table = Table(self._table.outputs, texts=True)

    def _commit(self, files: dict[str, TakenFile]) -> None:
        read, before = self._counts, self._state
        self._parts.finish(read.worker_records, read.worker_counts, read.tracked)
        state = replace(
            before,
            runs=before.runs + 1,
            lines=before.lines + read.lines - read.torn,
            corrupt=before.corrupt + read.corrupt,
            first_corrupt=before.first_corrupt or read.first_corrupt,
            foreign=before.foreign + read.foreign,
            outputs=list(self._table.outputs),
            files=files,
        )
        staging = self._into / _STAGING
        staging.mkdir(exist_ok=True)
        with (staging / STATE_FILE).open("wb") as file:
            file.write(state.dumps())
            file.flush()
            os.fsync(file.fileno())
        staging.rename(self._into / _COMMITTED)
        _finish(self._into)


def _digest(path: Path, taken: int) -> str:
    """Return a digest of the first bytes that were taken: the file of the same name may change."""
    with open_file(path) as file:
        begin = file.read(min(taken, _BEGIN_BYTES))
    return hashlib.sha256(begin).hexdigest()[:32]
