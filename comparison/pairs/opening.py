"""Find and open pair files: plain, or compressed by gzip or Zstandard."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final, cast

from comparison.errors import PairsUnreadableError
from comparison.pairs.stores.folders import StorePath
from flags.export.compression import (
    SUFFIXES,
    CheckedFile,
    DamagedFileError,
    compressed_paths,
    compression_of,
)

PLAIN: Final = ".jsonl"
NAMES: Final = (PLAIN, *(PLAIN + suffix for suffix in sorted(SUFFIXES.values())))
"""The endings of the names of pair files."""

STATE_FILE: Final = "compaction.json"
"""The file of a compacted folder that says how far each pair file has been read."""

_COMPANIONS: Final = (".shipped",)
"""The endings of the names of files that the plugin writes beside pair files."""

_BEGIN_BYTES: Final = 4096
_MAX_LISTINGS: Final = 9


def is_compacted(folder: Path) -> bool:
    """Say whether `compact` wrote this folder."""
    return (folder / STATE_FILE).is_file()


def find_files(source: Path) -> list[Path]:
    """Return the pair files at `source`, sorted: the file itself, or all below a folder.

    Links are followed. Raises PairsUnreadableError if there is nothing at `source`, or only files
    with other names.
    """
    if not source.exists():
        raise PairsUnreadableError(source, "no such file or folder")
    if not source.is_dir():
        return [source]
    every = _stable_listing(source)
    found = {path.resolve(): path for path in reversed(every) if path.name.endswith(NAMES)}
    others = [path for path in every if not path.name.endswith((*NAMES, *_COMPANIONS))]
    if others and not found:
        named = ", ".join(path.name for path in others[:3])
        raise PairsUnreadableError(
            source, f"none of its {len(others)} files ({named}) ends in {', '.join(NAMES)}"
        )
    known = {str(path): path for path in found.values()}
    return sorted(path for path in known.values() if not _is_replaced(path, known))


def _stable_listing(source: Path) -> list[Path]:
    """List all files below `source` until two listings are equal.

    A worker replaces a plain file by a compressed one: a listing during the replacement may have
    neither of them.
    """
    every = sorted(files_below(source))
    for _ in range(0 if _in_store(source) else _MAX_LISTINGS):
        again = sorted(files_below(source))
        if again == every:
            break
        every = again
    return every


def _is_replaced(path: Path, known: Mapping[str, Path]) -> bool:
    """Say whether a plain file also exists compressed, and so is about to be removed."""
    if compression_of(path) is not None:
        return False
    compressed = (known.get(str(each)) for each in compressed_paths(path))
    return any(each is not None and _have_same_beginning(path, each) for each in compressed)


def _have_same_beginning(path: Path, compressed: Path) -> bool:
    try:
        with open_file(path) as one, open_file(compressed) as other:
            first, second = one.read(_BEGIN_BYTES), other.read(_BEGIN_BYTES)
    except (OSError, DamagedFileError):
        return not path.exists()
    size = min(len(first), len(second))
    return size > 0 and first[:size] == second[:size]


def open_file(path: Path) -> IO[bytes]:
    """Open a pair file to read its lines, decompressed.

    If it has been compressed since it was listed, the compressed file is opened. Raises OSError;
    reading may raise DamagedFileError.
    """
    compression = compression_of(path)
    try:
        file = path.open("rb", buffering=-1 if _in_store(path) or compression else 0)
    except FileNotFoundError:
        candidates = [] if compression else compressed_paths(path)
        compressed = next((each for each in candidates if each.exists()), None)
        if compressed is None:
            raise
        return open_file(compressed)
    return file if compression is None else cast(IO[bytes], CheckedFile(file, compression))


def _in_store(path: object) -> bool:
    return isinstance(path, StorePath)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder; a folder that several links lead to is entered once.

    Files and folders whose names begin with a dot are left out.
    """
    if _in_store(folder):
        for each in folder.rglob("*"):
            if not any(part.startswith(".") for part in each.relative_to(folder).parts):
                yield each
        return
    entered = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (
            path
            for name in files
            if not name.startswith(".") and (path := Path(parent, name)).is_file()
        )
