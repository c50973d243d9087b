"""What the files at a place are like: as long as that is the same, so is what they hold."""

import os
import time
from pathlib import Path
from typing import Final

from comparison.pairs.compacted import COUNTS, OUTCOMES, PAIRS, REPEATED, WORKERS
from comparison.pairs.opening import STATE_FILE, is_compacted
from comparison.pairs.stores.folders import StorePath, folder_at

FileStates = tuple[tuple[int, tuple[object, ...]], ...]
"""Of each file, the time of its last change, in nanoseconds since 1970, and all that tells it."""

SETTLED: Final = 2_000_000_000
"""Nanoseconds after which a file that changes again has another time of change, on any disk."""

_FOLDERS: Final = (PAIRS, WORKERS, COUNTS, REPEATED, OUTCOMES)


def compacted_states(place: str | Path) -> tuple[object, ...] | None:
    """Return what the files of a compacted folder are like, None at any other place.

    None of them is ever changed, so that one that is there is settled.
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
    """Return what a file is like, or all files below a folder; None if one changed just now."""
    found = _states(folder_at(place))
    is_settled = all(changed <= time.time_ns() - SETTLED for changed, _ in found)
    return found if is_settled else None


def _states(path: Path) -> FileStates:
    if isinstance(path, StorePath):
        every = [path] if path.is_file() else path.rglob("*")
        return tuple(
            (each.stat().st_mtime_ns, (each.key, each.stat().st_size, each.stat().st_mtime_ns))
            for each in every
        )
    if not path.is_dir():
        return (_of_file(str(path)),)
    walked = os.walk(path, followlinks=True)
    paths = (f"{parent}/{name}" for parent, _, names in walked for name in names)
    return tuple(map(_of_file, sorted(paths)))


def _of_file(path: str) -> tuple[int, tuple[object, ...]]:
    """Return what tells a file from what it was; one that is not there has no size."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, (path, None)
    times = found.st_mtime_ns, found.st_ctime_ns
    return max(times), (path, found.st_size, found.st_dev, found.st_ino, *times)
