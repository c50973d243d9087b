"""A thread that compresses closed pair files, and removes the oldest beyond a total size."""

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
"""Reason of dropped pairs: their file was removed to save space."""

MIN_COMPRESSED_BYTES: Final = 2**18
"""Size from which a file is compressed. Smaller files gain little, and people read them."""

_SCAN_INTERVAL: Final = 2.0
"""Seconds between two scans of the folder: other workers close files too, and a file that is to be
shipped becomes ready for compression later."""
_PAUSE: Final = 0.002
"""Seconds of sleep after each compressed part, so that other threads get the processor."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How closed files are compressed, and how many bytes all pair files may take."""

    compression: str | None
    """`zstd`, `gzip`, or None for no compression."""
    max_bytes: int
    is_shipped: bool
    """Whether files are shipped from the folder. If so, each is compressed after it was shipped."""


class ClosedFiles:
    """The files in a folder that their workers have closed: compressed, the oldest ones removed.

    A plain file is removed after its compressed copy is complete and on the disk. For that moment
    both exist; readers take care of it. `drop` is called with the number of spans that were lost
    with a removed file.
    """

    def __init__(self, folder: Path, policy: RetentionPolicy, drop: Callable[[int], None]) -> None:
        self._folder = folder
        self._policy = policy
        self._drop = drop
        self._failed: set[str] = set()
        self._current: Path | None = None
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="closed-pair-files", daemon=True)
        self._thread.start()

    def scan(self, current: Path) -> None:
        """Scan the folder soon: this worker has closed a file and opened `current`.

        `current` is not removed, even after it has been closed.
        """
        self._current = current
        self._wake.set()

    def close(self, within: float) -> None:
        """Scan once more and stop, within some seconds; another worker does what remains."""
        self._closing = True
        self._wake.set()
        self._thread.join(within)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(_SCAN_INTERVAL)
            self._wake.clear()
            try:
                self._round()
            except OSError as error:
                logger.warning("the folder %s of pairs cannot be scanned: %s", self._folder, error)

    def _round(self) -> None:
        if self._policy.compression is not None:
            for path in sorted(self._folder.glob(f"{PREFIX}*{SUFFIX}")):
                if path.name not in self._failed:
                    self._compress(path, self._policy.compression)
        self._prune()

    def _compress(self, path: Path, compression: str) -> None:
        """Compress a file if it is large enough, closed, and shipped (if files are shipped)."""
        try:
            if path.stat().st_size < MIN_COMPRESSED_BYTES:
                return
            with path.open("rb") as file:
                if not lock_file(file.fileno()):
                    return
                size = os.fstat(file.fileno()).st_size
                if self._policy.is_shipped and shipped_position(path) < size:
                    return
                if os.fstat(file.fileno()).st_nlink:
                    compress_file(path, compression)
        except FileNotFoundError:  # another worker was faster
            return
        except OSError as error:
            self._failed.add(path.name)
            logger.warning("%s could not be compressed: %s", path.name, error.strerror)

    def _prune(self) -> None:
        """Remove files until the rest fits: first shipped files, then the oldest."""
        files = _in_removal_order(self._folder)
        total = sum(size for _, _, size, _ in files)
        for _, _, size, path in files:
            if total <= self._policy.max_bytes:
                return
            if plain_path(path) == self._current:
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
                    self._policy.max_bytes,
                )


def compress_file(path: Path, compression: str) -> None:
    """Replace a plain file by a compressed one; no process may be writing to it.

    If the process dies in the middle, the plain file, the compressed file or both are there. Raises
    OSError; FileExistsError if the compressed file exists with other content.
    """
    target = path.with_name(path.name + SUFFIXES[compression])
    if target.exists() and not _is_same(path, target):
        raise FileExistsError(0, f"{target.name} holds something else", str(target))
    temporary = path.with_name(f".{target.name}.tmp")  # readers skip names that begin with a dot
    try:
        with path.open("rb") as plain, temporary.open("wb") as file:
            os.fchmod(file.fileno(), os.fstat(plain.fileno()).st_mode & 0o777)
            while part := plain.read(PART_BYTES):
                file.write(compressed(part, compression))
                time.sleep(_PAUSE)
            file.flush()
            os.fsync(file.fileno())
        times = path.stat()
        os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))  # its age decides removal
        temporary.replace(target)
        path.unlink()
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def has_compressed_copy(plain: Path) -> bool:
    """Say whether a compressed file of a plain file's name exists."""
    return any(path.exists() for path in compressed_paths(plain))


def _is_same(path: Path, packed: Path) -> bool:
    """Say whether a compressed file has the content of a plain one."""
    compression = compression_of(packed) or ""
    with path.open("rb") as plain, CheckedFile(packed.open("rb"), compression) as unpacked:
        while part := plain.read(PART_BYTES):
            other = bytearray(len(part))
            filled = 0
            while size := unpacked.readinto(memoryview(other)[filled:]):
                filled += size
            if other != part:
                return False
        return not unpacked.read(1)


def _in_removal_order(folder: Path) -> list[tuple[bool, int, int, Path]]:
    """Return the pair files as (is unshipped, time of last change, size, path), sorted."""
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
    """Remove a file that no worker has open, and its position file.

    Return the number of its spans that were not shipped; None if the file was not removed.
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
    """Count the spans of a file that have not been shipped; of a compressed one, all or none."""
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
