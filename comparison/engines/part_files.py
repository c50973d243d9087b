"""The files of pairs of a compacted folder: which of them a window has, and what they are like."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from comparison.engines.grouping import HOUR
from comparison.pairs.compacted import parquet_file, read_ends

_DAY: Final = 24 * HOUR
_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class PartFile:
    """Name a file of pairs of one day, which begins at `day`, nanoseconds since 1970."""

    path: Path
    day: int
    origin: bytes
    """A digest of its name, its size and its time of change."""


@dataclass(frozen=True, slots=True)
class WindowFiles:
    """Hold the files with pairs of [since, until).

    A bound is None where it leaves out no pair of any file, so that windows with the same pairs are
    equal.
    """

    files: tuple[PartFile, ...]
    since: int | None
    until: int | None

    def of(self, files: Iterable[PartFile]) -> "WindowFiles":
        """Return some of them."""
        return WindowFiles(tuple(files), self.since, self.until)


class PartFiles:
    """List the files of pairs of a folder once; a look sees these and no later ones."""

    def __init__(self, folder: Path, paths: Iterable[Path]) -> None:
        self._files = tuple(_part_file(folder, path) for path in paths)
        self._ends: dict[PartFile, tuple[int, int]] = {}

    def __iter__(self) -> Iterator[PartFile]:
        """Yield all files, in the order in which they were written."""
        return iter(self._files)

    def window(self, since: int | None, until: int | None) -> WindowFiles:
        """Return the files that may have pairs of [since, until), nanoseconds since 1970."""
        early = [] if since is None else [file for file in self if self._first(file, since) < since]
        late = [] if until is None else [file for file in self if self._last(file, until) >= until]
        inside = tuple(
            file
            for file in self
            if (file not in early or self._last(file, since or 0) >= (since or 0))
            and (file not in late or self._first(file, until or 0) < (until or 0))
        )
        return WindowFiles(inside, since if early else None, until if late else None)

    def _first(self, file: PartFile, bound: int) -> int:
        """Return the time of the first pair, or any on the same side of a bound."""
        return self._read(file)[0] if file.day <= bound < file.day + _DAY else file.day

    def _last(self, file: PartFile, bound: int) -> int:
        end = file.day + _DAY - 1
        return self._read(file)[1] if file.day <= bound <= end else end

    def _read(self, file: PartFile) -> tuple[int, int]:
        if file not in self._ends:
            with parquet_file(file.path) as held:
                self._ends[file] = read_ends(held)
        return self._ends[file]


def columns_of(file: PartFile) -> set[str]:
    """Return the names of its columns, and those that its path says."""
    with parquet_file(file.path) as held:
        return {*held.schema_arrow.names, "flag"}


def _part_file(folder: Path, path: Path) -> PartFile:
    status = path.stat()
    told = f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}"
    day = date.fromisoformat(path.parent.name.removeprefix("date=")).toordinal() - _EPOCH
    return PartFile(path, day * _DAY, hashlib.sha256(told.encode()).digest())
