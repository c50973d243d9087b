"""Closed pair files, in a thread of their own: compressed, and removed where they take too much."""

import contextlib
import io
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flags.export.compression import (
    PART_BYTES,
    SUFFIXES,
    CheckedFile,
    DamagedFileError,
    compressed,
    compressed_paths,
    compression_of,
    plain_path,
)
from flags.export.otlp_json import spans_in
from flags.export.shipped_file import position_path, shipped_position
from flags.files import lock_file

logger = logging.getLogger(__name__)

PREFIX: Final = "pairs-"
SUFFIX: Final = ".jsonl"
PRUNED: Final = "pruned"
"""Why pairs were dropped: their file was removed."""

WORTH_BYTES: Final = 2**18
"""Size from which a file is compressed: smaller ones gain little, and are read by people."""

_LOOK_EVERY: Final = 2.0
"""Seconds between two looks: others close files too, and what is to be shipped first takes time."""
_REST: Final = 0.002
"""Seconds of rest after each part, in which the processor is somebody else's."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How closed files are kept: compressed by what, if at all, and how many bytes of them."""

    compression: str | None
    max_bytes: int
    is_shipped: bool
    """Whether files are shipped from the folder: they are compressed afterwards."""


class ClosedFiles:
    """Compress what workers have closed in a folder, and remove the oldest beyond a size.

    A compressed file takes the place of the plain one when it is complete and on the disk. Until
    the plain one has been removed, which comes next, both are there; readers know that.
    """

    def __init__(self, folder: Path, keeping: Keeping, drop: Callable[[int], None]) -> None:
        self._folder = folder
        self._keeping = keeping
        self._drop = drop
        self._failed: set[str] = set()
        self._begun: Path | None = None
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="closed-pair-files", daemon=True)
        self._thread.start()

    def look(self, begun: Path) -> None:
        """Look at the folder soon: a file was closed, and the next one begun.

        That one is not removed, even after it has been closed.
        """
        self._begun = begun
        self._wake.set()

    def close(self, within: float) -> None:
        """Look once more, and stop; what is not done by then, another worker does."""
        self._closing = True
        self._wake.set()
        self._thread.join(within)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(_LOOK_EVERY)
            self._wake.clear()
            try:
                self._round()
            except OSError as error:
                logger.warning("closed pair files of %s are not looked at: %s", self._folder, error)

    def _round(self) -> None:
        if self._keeping.compression is not None:
            for path in sorted(self._folder.glob(f"{PREFIX}*{SUFFIX}")):
                if path.name not in self._failed:
                    self._compress(path, self._keeping.compression)
        self._prune()

    def _compress(self, path: Path, compression: str) -> None:
        """Compress a file that is closed, and shipped if it is to be; else leave it for later."""
        try:
            if path.stat().st_size < WORTH_BYTES:
                return
            with path.open("rb") as file:
                if not lock_file(file.fileno()):
                    return
                size = os.fstat(file.fileno()).st_size
                if self._keeping.is_shipped and shipped_position(path) < size:
                    return
                if os.fstat(file.fileno()).st_nlink:
                    compress_file(path, compression)
        except FileNotFoundError:  # another worker was faster
            return
        except OSError as error:
            self._failed.add(path.name)
            logger.warning("%s stays as it is, not compressed: %s", path.name, error.strerror)

    def _prune(self) -> None:
        """Remove files until the others are small enough: shipped ones, then the oldest."""
        files = _dispensable_first(self._folder)
        total = sum(size for _, _, size, _ in files)
        for _, _, size, path in files:
            if total <= self._keeping.max_bytes:
                return
            if plain_path(path) == self._begun:
                continue
            spans = _remove_if_closed(path)
            if spans is None:
                continue
            total -= size
            if spans:
                self._drop(spans)
                logger.warning(
                    "pair file %s with %d records that are nowhere else was removed: "
                    "the folder exceeds %d bytes",
                    path.name,
                    spans,
                    self._keeping.max_bytes,
                )


def compress_file(path: Path, compression: str) -> None:
    """Replace a plain file by a compressed one; no process may be writing to it.

    Cut off at any moment, it leaves the plain file, or the compressed one, or both. Raises OSError;
    FileExistsError if there is a compressed file of that name that holds something else.
    """
    into = path.with_name(path.name + SUFFIXES[compression])
    if into.exists() and not _is_same(path, into):
        raise FileExistsError(0, f"{into.name} holds something else", str(into))
    temporary = path.with_name(f".{into.name}.tmp")  # readers leave out what begins with a dot
    try:
        with path.open("rb") as plain, temporary.open("wb") as file:
            os.fchmod(file.fileno(), os.fstat(plain.fileno()).st_mode & 0o777)
            while part := plain.read(PART_BYTES):
                file.write(compressed(part, compression))
                time.sleep(_REST)
            file.flush()
            os.fsync(file.fileno())
        times = path.stat()
        os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))  # the oldest go first
        temporary.replace(into)
        path.unlink()
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def is_taken(plain: Path) -> bool:
    """Say whether there is a compressed file in the place of a plain one."""
    return any(path.exists() for path in compressed_paths(plain))


def _is_same(path: Path, packed: Path) -> bool:
    """Say whether a compressed file holds what a plain one does."""
    compression = compression_of(packed) or ""
    with path.open("rb") as one, CheckedFile(packed.open("rb"), compression) as other:
        while part := one.read(PART_BYTES):
            held = bytearray(len(part))
            filled = 0
            while size := other.readinto(memoryview(held)[filled:]):
                filled += size
            if held != part:
                return False
        return not other.read(1)


def _dispensable_first(folder: Path) -> list[tuple[bool, int, int, Path]]:
    """Return of each pair file whether it is to be shipped, its last change, size and path."""
    found: list[tuple[bool, int, int, Path]] = []
    for path in folder.glob(f"{PREFIX}*{SUFFIX}*"):
        if plain_path(path).suffix != SUFFIX:
            continue
        with contextlib.suppress(FileNotFoundError):  # another worker removed it
            stat = path.stat()
            shipped = shipped_position(plain_path(path))
            is_unshipped = shipped == 0 if compression_of(path) else shipped < stat.st_size
            found.append((is_unshipped, stat.st_mtime_ns, stat.st_size, path))
    return sorted(found)


def _remove_if_closed(path: Path) -> int | None:
    """Remove a file that no worker has open, and what says how far it was shipped.

    Return the number of its spans that were not shipped; None if it stays.
    """
    try:
        with path.open("rb") as file:
            if not lock_file(file.fileno()):
                return None
            spans = _unshipped(path)
            path.unlink()
            position_path(plain_path(path)).unlink(missing_ok=True)
            return spans
    except FileNotFoundError:  # another worker removed it, and counted it
        return 0
    except OSError:
        return None


def _unshipped(path: Path) -> int:
    """Count the spans of a file that have not been shipped; a compressed one was, or was not."""
    shipped, compression = shipped_position(plain_path(path)), compression_of(path)
    if compression and shipped:
        return 0
    spans = 0
    with contextlib.suppress(DamagedFileError), path.open("rb") as file:
        if compression is None:
            file.seek(shipped)
        lines = io.BufferedReader(CheckedFile(file, compression)) if compression else file
        for line in lines:
            spans += spans_in(line) if line.endswith(b"\n") else 0
    return spans
