"""The states of files (size, times, identity): as long as they are equal, so is the content."""

import os
import time
from pathlib import Path
from typing import Final

from comparison.pairs.compacted import COUNTS, OUTCOMES, PAIRS, REPEATED, WORKERS
from comparison.pairs.opening import STATE_FILE, is_compacted
from comparison.pairs.stores.folders import StorePath, folder_at

FileStates = tuple[tuple[int, tuple[object, ...]], ...]
"""For each file, the time of its last change (nanoseconds since 1970) and its whole state."""

TIME_RESOLUTION: Final = 2_000_000_000
"""Nanoseconds: the coarsest resolution of file times on any disk. A file that last changed longer
ago gets another time when it changes again."""

_FOLDERS: Final = (PAIRS, WORKERS, COUNTS, REPEATED, OUTCOMES)


def compacted_states(place: str | Path) -> tuple[object, ...] | None:
    """Return the states of the files of a compacted folder, None at any other place.

    These files never change once written, so the time of their last change does not matter.
    """
    folder = folder_at(place)
    if not is_compacted(folder):
        return None
    try:
        state = (folder / STATE_FILE).read_bytes()
    except OSError:
        return None
    return (state, *(_states(folder / name) for name in _FOLDERS))


def file_states(place: str | Path) -> FileStates | None:
    """Return the states of a file, or of all files below a folder; None if one changed just now."""
    states = _states(folder_at(place))
    is_old = all(changed <= time.time_ns() - TIME_RESOLUTION for changed, _ in states)
    return states if is_old else None


def _states(path: Path) -> FileStates:
    if isinstance(path, StorePath):
        every = [path] if path.is_file() else path.rglob("*")
        return tuple(
            (each.stat().st_mtime_ns, (each.key, each.stat().st_size, each.stat().st_mtime_ns))
            for each in every
        )
    if not path.is_dir():
        return (_state(str(path)),)
    walked = os.walk(path, followlinks=True)
    paths = (f"{parent}/{name}" for parent, _, names in walked for name in names)
    return tuple(map(_state, sorted(paths)))


def _state(path: str) -> tuple[int, tuple[object, ...]]:
    """Return the time of the last change and the state of a file; a missing file has no size."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, (path, None)
    times = status.st_mtime_ns, status.st_ctime_ns
    return max(times), (path, status.st_size, status.st_dev, status.st_ino, *times)
