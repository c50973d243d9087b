"""The files of pairs of a compacted folder: which files a window needs, and their columns."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from comparison.engines.grouping import HOUR
from comparison.pairs.compacted import parquet_file, time_range

_DAY: Final = 24 * HOUR
_EARLIEST, _LATEST = -(2**63), 2**63 - 1
"""Bounds in nanoseconds, outside of which no pair can be."""
_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class PartFile:
    """A file with pairs of one day, which begins at `day`, nanoseconds since 1970."""

    path: Path
    day: int
    origin: bytes
    """A digest of name, size and time of change, which identifies the file."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class WindowFiles:
    """The files with pairs of [since, until).

    A bound is None if it excludes no pair of any file, so that windows with the same pairs are
    equal. If it excludes only whole files, it is moved to the edge of the nearest excluded file, so
    that it stays the same while the clock moves on.
    """

    files: tuple[PartFile, ...]
    since: int | None
    until: int | None

    def of(self, files: Iterable[PartFile]) -> "WindowFiles":
        """Return the same window with only these files."""
        return WindowFiles(tuple(files), self.since, self.until)


class PartFiles:
    """The files of pairs of a folder, listed once: a look does not see later files."""

    def __init__(self, folder: Path, paths: Iterable[Path]) -> None:
        self._files = tuple(_part_file(folder, path) for path in paths)
        self._ends: dict[bytes, tuple[int, int]] = {}
        self._windows: dict[tuple[int | None, int | None], WindowFiles] = {}

    def __iter__(self) -> Iterator[PartFile]:
        """Yield all files, in the order in which they were written."""
        return iter(self._files)

    def window(self, since: int | None, until: int | None) -> WindowFiles:
        """Return the files that may have pairs of [since, until), nanoseconds since 1970."""
        if (since, until) not in self._windows:
            self._windows[since, until] = self._window(since, until)
        return self._windows[since, until]

    def _window(self, since: int | None, until: int | None) -> WindowFiles:
        begin = _EARLIEST if since is None else since
        end = _LATEST if until is None else until
        inside, early, late = [], [], []
        is_cut_before = is_cut_after = False
        for file in self:
            if self._last(file, begin) < begin:
                early.append(file)
            elif self._first(file, end) >= end:
                late.append(file)
            else:
                inside.append(file)
                is_cut_before |= self._first(file, begin) < begin
                is_cut_after |= self._last(file, end) >= end
        before = max((self._last(each, begin) + 1 for each in early), default=None)
        after = min((self._first(each, end) for each in late), default=None)
        return WindowFiles(
            tuple(inside), begin if is_cut_before else before, end if is_cut_after else after
        )

    def _first(self, file: PartFile, bound: int) -> int:
        """Return the time of the first pair, or a time on the same side of the bound."""
        return self._read(file)[0] if file.day <= bound < file.day + _DAY else file.day

    def _last(self, file: PartFile, bound: int) -> int:
        """Return the time of the last pair, or a time on the same side of the bound."""
        end = file.day + _DAY - 1
        return self._read(file)[1] if file.day <= bound <= end else end

    def _read(self, file: PartFile) -> tuple[int, int]:
        if file.origin not in self._ends:
            with parquet_file(file.path) as parquet:
                self._ends[file.origin] = time_range(parquet)
        return self._ends[file.origin]


def column_names(file: PartFile) -> set[str]:
    """Return the names of a file's columns, including `flag`, which is in its path."""
    with parquet_file(file.path) as parquet:
        return {*parquet.schema_arrow.names, "flag"}


def schema_text(file: PartFile) -> str:
    """Return the names and types of a file's columns, in order, as one text."""
    with parquet_file(file.path) as parquet:
        return str(parquet.schema_arrow.remove_metadata())


def _part_file(folder: Path, path: Path) -> PartFile:
    status = path.stat()
    identity = f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}"
    day = date.fromisoformat(path.parent.name.removeprefix("date=")).toordinal() - _EPOCH
    return PartFile(path, day * _DAY, hashlib.sha256(identity.encode()).digest(), status.st_size)
