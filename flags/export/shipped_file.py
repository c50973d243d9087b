"""The position up to which a pair file has been shipped: durable, one process at a time."""

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
"""Of the file beside a pair file: the number of its bytes that the receiver has, in decimal."""

_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class ShippingLimits:
    """Bound what goes into one request, and how often one is sent. Bytes and seconds."""

    batch_pairs: int = 512
    batch_bytes: int = 4 * 2**20
    """Of the lines, before compression; protobuf has about half. A longer line goes alone."""
    interval: float = 1.0
    """Between two requests, unless a full batch waits."""
    longest_wait: float = 30.0
    """Before the receiver is tried again, unless it asks for more by Retry-After."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines of a pair file, without their line feeds, and the position behind them."""

    lines: tuple[bytes, ...]
    end: int
    is_full: bool
    """Whether a limit ended it: more lines may follow."""


class ShippedFile:
    """A pair file that this process ships; another one cannot, as long as it is held.

    The position file is locked, and written to in place: 21 bytes, which no crash of the process
    tears. One that a power cut has lost or spoilt costs duplicates and no pair.
    """

    def __init__(self, path: Path, data: int, position_file: int) -> None:
        self.path = path
        self._data = data
        self._position_file = position_file
        self.position = self._read_position()
        self._taken_at = self.position

    @classmethod
    def take(cls, path: Path, *, own: bool) -> "ShippedFile | None":
        """Return the file at `path` to ship, or None if that is not ours to do.

        A file that has a living writer is shipped by it (`own`); any other by whoever takes it
        first. Raises OSError if there is no file, or none may be made beside it.
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
        """Return the number of bytes that have been moved past since the file was taken."""
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
        """Say whether a worker has the file open: it may still grow."""
        return _is_locked(self._data)

    def next(self, spans: int, size: int) -> Batch | None:
        """Return the next whole lines, up to `spans` and `size` bytes, but at least one.

        None if there are none.
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
        """Remember that everything before `position` needs no shipping any more.

        Raises OSError if that cannot be written; it is remembered all the same.
        """
        self.position = position
        os.pwrite(self._position_file, b"%0*d\n" % (_DIGITS, position), 0)

    def release(self) -> None:
        """Let go of the file, so that another process may take it."""
        os.close(self._position_file)
        os.close(self._data)

    def _read_position(self) -> int:
        """Return the position if it is one: behind a line feed, or behind the end of the file."""
        position = parsed_position(os.pread(self._position_file, _DIGITS + 1, 0))
        if position and os.pread(self._data, 1, position - 1) not in (b"\n", b""):
            return 0
        return position


def position_path(path: Path) -> Path:
    """Return the position file of a pair file."""
    return path.with_name(path.name + POSITION_SUFFIX)


def shipped_position(path: Path) -> int:
    """Return how many bytes of a pair file have been shipped; 0 if none, or unknown."""
    try:
        return parsed_position(position_path(path).read_bytes())
    except OSError:
        return 0


def parsed_position(text: bytes) -> int:
    """Return the number that a position file holds; 0 if it holds none."""
    return int(text) if len(text) == _DIGITS + 1 and text[:_DIGITS].isdigit() else 0


def _is_locked(data: int) -> bool:
    """Say whether a process has locked the file exclusively, as writers do."""
    if not lock_file(data, shared=True):
        return True
    unlock_file(data)
    return False
