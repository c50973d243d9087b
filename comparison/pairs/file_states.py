"""What the files at a place are like: as long as that is the same, so is what they hold."""

import os
from pathlib import Path
from typing import Final

from comparison.pairs.compacted import COUNTS, OUTCOMES, PAIRS, REPEATED, WORKERS
from comparison.pairs.opening import STATE_FILE, is_compacted
from comparison.pairs.stores import StorePath, folder_at

FileStates = tuple[object, ...]

_FOLDERS: Final = (PAIRS, WORKERS, COUNTS, REPEATED, OUTCOMES)


def compacted_states(place: str | Path) -> FileStates | None:
    """Return what the files of a compacted folder are like, None at any other place."""
    folder = folder_at(place)
    if not is_compacted(folder):
        return None
    try:
        state = (folder / STATE_FILE).read_bytes()
    except OSError:
        return None
    return (state, *(file_states(folder / name) for name in _FOLDERS))


def file_states(place: str | Path) -> FileStates:
    """Return name, size and times of a file, or of all files below a folder."""
    path = folder_at(place)
    if isinstance(path, StorePath):
        every = [path] if path.is_file() else path.rglob("*")
        return tuple((each.key, each.stat().st_size, each.stat().st_mtime_ns) for each in every)
    if not path.is_dir():
        return (_of_file(str(path)),)
    walked = os.walk(path, followlinks=True)
    return tuple(
        sorted(_of_file(f"{parent}/{name}") for parent, _, names in walked for name in names)
    )


def _of_file(path: str) -> tuple[str, int, int, int, int]:
    """Return what tells a file from what it was; one that is not there has no size."""
    try:
        found = os.stat(path)
    except OSError:
        return path, -1, 0, 0, 0
    return path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
