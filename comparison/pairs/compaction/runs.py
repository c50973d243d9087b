"""Compaction of pair files to Parquet: each run adds the pairs that are new since the last one.

A run writes to a staging folder and commits it in one step (`comparison.pairs.compaction.targets`).
If it is killed before the commit, its files are discarded; if after, the next run completes it.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from comparison.errors import CompactionError
from comparison.pairs.compacted import (
    CompactionState,
    TakenFile,
    read_state,
    worker_counts,
)
from comparison.pairs.compaction.parts import PartWriter
from comparison.pairs.compaction.targets import Target, target_at
from comparison.pairs.file_reads import FileRead, read_files
from comparison.pairs.machine import cores
from comparison.pairs.opening import STATE_FILE, find_files, is_compacted, open_file
from comparison.pairs.progress_bar import files_with_bar
from comparison.pairs.read_counts import Progress, ReadCounts
from comparison.pairs.stores.folders import folder_at
from comparison.pairs.table import Table
from flags.export.compression import SUFFIXES, compression_of, plain_path
from flags.export.worker_count import WorkerCount, read_counts

CHUNK_ROWS: Final = 2**19
"""Pairs that are sorted, deduplicated and written together: this bounds the memory."""

_BEGIN_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Compacted:
    """The counts of one run: new pairs, repeated copies, files, bytes read, and errors.

    `torn` counts files that end early, `foreign` spans and lines of other programs.
    """

    pairs: int
    repeated: int
    files: int
    bytes: int
    torn: int
    first_torn: str | None
    corrupt: int
    first_corrupt: str | None
    foreign: int


def compact(source: str | Path, into: str | Path, *, jobs: int | None = None) -> Compacted:
    """Add the new pairs of `source`, a pair file or a folder of them, to the folder `into`.

    Both may be in object stores: `s3://bucket/prefix`. Much data is read by up to `jobs` processes,
    by default one for each processor; the files written are the same. Raises PairsUnreadableError
    if `source` is something else, CompactionError if `into` holds something else, cannot be
    written, or is being written by another run, StoreUnreadableError if a store refuses.
    """
    source, into = folder_at(source), folder_at(into)
    files = find_files(source)
    target = target_at(into)
    try:
        with target.locked() as staging:
            counts = read_counts(source)
            return _Run(into, staging, target).take(files, counts, jobs or cores())
    except OSError as error:
        raise CompactionError(f"{error.filename or into}: {error.strerror or error}") from error


class _Run:
    """One run: it writes the new pairs to the staging folder, and commits it."""

    def __init__(self, into: Path, staging: Path, target: Target) -> None:
        self._into = into
        self._staging = staging
        self._target = target
        self._state = read_state(into) if is_compacted(into) else CompactionState()
        self._parts = PartWriter(into, staging, self._state.runs + 1)
        self._counts = ReadCounts()
        self._table = Table(self._state.outputs, texts=True)
        self._bytes = 0

    def take(self, files: Sequence[Path], counts: Sequence[WorkerCount], jobs: int) -> Compacted:
        """Read the new parts of the files, write their pairs, and commit if anything is new."""
        self._counts.worker_counts += self._new_counts(counts)
        taken: dict[str, TakenFile] = {}
        progress = [(path, self._progress(path)) for path in files]
        with closing(read_files(progress, jobs)) as reads:
            for path, read in zip(files_with_bar("compacting pairs", files), reads, strict=True):
                with suppress(FileNotFoundError):  # the writer removed its oldest file
                    taken[str(path.resolve())] = self._take(read)
        # A file that has been compressed since the last run replaces the plain file of that run.
        new = [name for name in taken if name not in self._state.files]
        replaced = {name.removesuffix(end) for name in new for end in SUFFIXES.values()}
        earlier = {
            name: file
            for name, file in self._state.files.items()
            if name not in replaced or name in taken
        }
        self._write_chunk()
        has_new_counts = bool(self._counts.worker_counts)
        changed = any(self._state.files.get(name) != file for name, file in taken.items())
        if not self._state.runs or changed or has_new_counts:
            self._commit({**earlier, **taken})
        return Compacted(
            pairs=self._parts.pairs,
            repeated=self._parts.repeated,
            files=len(taken),
            bytes=self._bytes,
            torn=sum(file.torn for file in taken.values()),
            first_torn=self._counts.first_torn,
            corrupt=self._counts.corrupt,
            first_corrupt=self._counts.first_corrupt,
            foreign=self._counts.foreign,
        )

    def _take(self, read: FileRead) -> TakenFile:
        for table in read.tables:
            self._table.join(table)
            if self._table.rows >= CHUNK_ROWS:
                self._write_chunk()
        self._counts.add(read.counts)
        progress = read.progress
        self._bytes += progress.taken - read.begin
        digest = _digest(read.path, progress.taken)
        return TakenFile(progress.taken, progress.lines, digest, progress.torn)

    def _progress(self, path: Path) -> Progress:
        """Return how far earlier runs have read a file."""
        taken = self._taken(path)
        return Progress(taken.taken, taken.lines) if taken else Progress()

    def _new_counts(self, counts: Sequence[WorkerCount]) -> list[WorkerCount]:
        """Return the counts that no earlier run has stored."""
        known = set(worker_counts(self._into, self._state))
        return [count for count in counts if count not in known]

    def _taken(self, path: Path) -> TakenFile | None:
        """Return how far a file was read, if it is still the same file and has not shrunk."""
        files, name = self._state.files, path.resolve()
        taken = files.get(str(name)) or files.get(str(plain_path(name)))
        if taken is None:
            return None
        try:
            is_same = _digest(path, taken.taken) == taken.begin
            is_short = compression_of(path) is None and path.stat().st_size < taken.taken
        except FileNotFoundError:  # it is being compressed: nothing is missing then
            is_short = False
        return taken if is_same and not is_short else None

    def _write_chunk(self) -> None:
        if self._table.rows:
            self._parts.write(self._table.frame())
        self._table = Table(self._table.outputs, texts=True)
        self._target.heartbeat()

    def _commit(self, files: dict[str, TakenFile]) -> None:
        counts, before = self._counts, self._state
        self._parts.finish(counts.worker_records, counts.worker_counts, counts.tracked)
        state = replace(
            before,
            runs=before.runs + 1,
            lines=before.lines + counts.lines - counts.torn,
            corrupt=before.corrupt + counts.corrupt,
            first_corrupt=before.first_corrupt or counts.first_corrupt,
            foreign=before.foreign + counts.foreign,
            outputs=list(self._table.outputs),
            files=files,
        )
        self._staging.mkdir(exist_ok=True)
        with (self._staging / STATE_FILE).open("wb") as file:
            file.write(state.dumps())
            file.flush()
            os.fsync(file.fileno())
        self._target.commit()


def _digest(path: Path, taken: int) -> str:
    """Return a digest of the first bytes read, which recognizes another file of the same name."""
    begin, size = b"", min(taken, _BEGIN_BYTES)
    with open_file(path) as file:
        while len(begin) < size and (more := file.read(size - len(begin))):
            begin += more
    return hashlib.sha256(begin).hexdigest()[:32]
