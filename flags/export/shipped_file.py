"""A pair file that is being shipped, and the file beside it that holds the shipped position."""

import bisect
import contextlib
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flags.export.otlp_json import spans_in
from flags.files import lock_file, unlock_file

POSITION_SUFFIX: Final = ".shipped"
"""Suffix of the position file: the number of bytes that have been shipped, in decimal."""

_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class ShippingLimits:
    """Limits of one request, and of how often requests are sent. Bytes and seconds."""

    batch_pairs: int = 512
    batch_bytes: int = 4 * 2**20
    """Of the lines, uncompressed; protobuf takes about half of it. A longer line is sent alone."""
    interval: float = 1.0
    """Between two requests, unless a full batch waits."""
    longest_wait: float = 30.0
    """Before the next try after failures, unless Retry-After asks for more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive lines of a pair file."""

    lines: tuple[bytes, ...]
    """Without line feeds."""
    end: int
    """Position in the file after the last line."""
    is_full: bool
    """Whether a limit ended the batch, so that more lines may follow."""


class ShippedFile:
    """A pair file that this process ships; the lock on its position file excludes others.

    The position, 21 bytes, is written in place, so that a crash of the process cannot tear it. If a
    power cut loses or damages the position file, spans are shipped twice, none is lost.
    """

    def __init__(self, path: Path, data: int, position_file: int) -> None:
        self.path = path
        self._data = data
        self._position_file = position_file
        self.position = self._read_position()
        self._taken_at = self.position

    @classmethod
    def take(cls, path: Path, *, own: bool) -> "ShippedFile | None":
        """Open and lock the file at `path` for shipping; None if another process ships it.

        A worker that is still alive ships its files itself (`own`); the files of dead workers are
        shipped by the first process that takes them. Raises OSError if there is no file, or no
        position file can be created.
        """
        with contextlib.ExitStack() as on_failure:
            data = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            on_failure.callback(os.close, data)
            if not own and _is_locked(data):
                return None
            beside = position_path(path)
            position_file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            on_failure.callback(os.close, position_file)
            if not lock_file(position_file):
                return None
            if os.fstat(data).st_nlink == 0:  # pruned meanwhile
                beside.unlink(missing_ok=True)
                return None
            if os.fstat(position_file).st_nlink == 0:
                return None
            taken = cls(path, data, position_file)
            on_failure.pop_all()
            return taken

    @property
    def moved(self) -> int:
        """Return the number of bytes by which the position moved since the file was taken."""
        return self.position - self._taken_at

    @property
    def waiting(self) -> int:
        """Return the number of bytes that have not been shipped."""
        return max(0, os.fstat(self._data).st_size - self.position)

    @property
    def is_removed(self) -> bool:
        """Say whether the file is no longer in the folder."""
        return os.fstat(self._data).st_nlink == 0

    @property
    def has_writer(self) -> bool:
        """Say whether a worker has the file open, so that it may still grow."""
        return _is_locked(self._data)

    def next(self, spans: int, size: int) -> Batch | None:
        """Return the next complete lines, up to `spans` spans and `size` bytes, but at least one.

        None if there is no complete line.
        """
        data = os.pread(self._data, size, self.position)
        while b"\n" not in data:
            further = os.pread(self._data, size, self.position + len(data))
            if not further:
                return None
            data += further
        lines = data.split(b"\n")[:-1]
        found = list(itertools.accumulate(map(spans_in, lines)))
        count = max(1, bisect.bisect_right(found, spans))
        end = self.position + sum(map(len, lines[:count])) + count
        is_full = count < len(lines) or found[-1] >= spans or len(data) >= size
        return Batch(tuple(lines[:count]), end, is_full)

    def advance(self, position: int) -> None:
        """Set the position: everything before it needs no shipping any more.

        Raises OSError if it cannot be written; it is set in memory all the same.
        """
        self.position = position
        os.pwrite(self._position_file, b"%0*d\n" % (_DIGITS, position), 0)

    def release(self) -> None:
        """Close the files, so that another process may take them."""
        os.close(self._position_file)
        os.close(self._data)

    def _read_position(self) -> int:
        """Read the position; 0 unless it is after a line feed, or beyond the end of the file."""
        position = parsed_position(os.pread(self._position_file, _DIGITS + 1, 0))
        if position and os.pread(self._data, 1, position - 1) not in (b"\n", b""):
            return 0
        return position


def position_path(path: Path) -> Path:
    """Return the position file of a pair file."""
    return path.with_name(path.name + POSITION_SUFFIX)


def shipped_position(path: Path) -> int:
    """Return how many bytes of a pair file have been shipped; 0 if that is unknown."""
    try:
        return parsed_position(position_path(path).read_bytes())
    except OSError:
        return 0


def parsed_position(text: bytes) -> int:
    """Parse the content of a position file; 0 if it is malformed."""
    return int(text) if len(text) == _DIGITS + 1 and text[:_DIGITS].isdigit() else 0


def _is_locked(data: int) -> bool:
    """Say whether a process has locked the file exclusively, as writers do."""
    if not lock_file(data, shared=True):
        return True
    unlock_file(data)
    return False
