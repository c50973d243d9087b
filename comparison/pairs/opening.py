"""Find and open pair files, plain or compressed: by gzip, or by Zstandard."""

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
"""How the names of pair files end."""

STATE_FILE: Final = "compaction.json"
"""Is there in a folder that `compact` writes, and says what has been taken so far."""

_OURS: Final = (".shipped",)
"""How the names of files end that are written beside them."""

_BEGIN_BYTES: Final = 4096
_LOOKS: Final = 9


def is_compacted(folder: Path) -> bool:
    """Say whether a folder is one that `compact` writes."""
    return (folder / STATE_FILE).is_file()


def find_files(source: Path) -> list[Path]:
    """Return the pair files at `source`, sorted: itself, or all below it, links followed.

    Raises PairsUnreadableError if there is nothing at `source`, or only files of other names.
    """
    if not source.exists():
        raise PairsUnreadableError(source, "no such file or folder")
    if not source.is_dir():
        return [source]
    every = _settled(source)
    found = {path.resolve(): path for path in reversed(every) if path.name.endswith(NAMES)}
    others = [path for path in every if not path.name.endswith((*NAMES, *_OURS))]
    if others and not found:
        named = ", ".join(path.name for path in others[:3])
        raise PairsUnreadableError(
            source, f"none of its {len(others)} files ({named}) ends in {', '.join(NAMES)}"
        )
    known = {str(path): path for path in found.values()}
    return sorted(path for path in known.values() if not _is_replaced(path, known))


def _settled(source: Path) -> list[Path]:
    """Return every file at `source`, of a moment in which none was changing its name.

    A worker puts a compressed file in the place of a plain one: while that is looked at, both may
    be missed.
    """
    every = sorted(below(source))
    for _ in range(0 if _in_store(source) else _LOOKS):
        again = sorted(below(source))
        if again == every:
            break
        every = again
    return every


def _is_replaced(path: Path, known: Mapping[str, Path]) -> bool:
    """Say whether a plain file is about to go, as it is there compressed."""
    if compression_of(path) is not None:
        return False
    packed = (known.get(str(each)) for each in compressed_paths(path))
    return any(each is not None and _begin_alike(path, each) for each in packed)


def _begin_alike(path: Path, packed: Path) -> bool:
    try:
        with open_file(path) as one, open_file(packed) as other:
            first, second = one.read(_BEGIN_BYTES), other.read(_BEGIN_BYTES)
    except (OSError, DamagedFileError):
        return not path.exists()
    size = min(len(first), len(second))
    return size > 0 and first[:size] == second[:size]


def open_file(path: Path) -> IO[bytes]:
    """Open a pair file to read its lines, unpacked. Raises OSError; DamagedFileError later.

    If it has been compressed since it was found, the compressed file is opened.
    """
    compression = compression_of(path)
    try:
        file = path.open("rb", buffering=-1 if _in_store(path) or compression else 0)
    except FileNotFoundError:
        packed = [] if compression else [each for each in compressed_paths(path) if each.exists()]
        if not packed:
            raise
        return open_file(packed[0])
    return file if compression is None else cast(IO[bytes], CheckedFile(file, compression))


def _in_store(path: object) -> bool:
    return isinstance(path, StorePath)


def below(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, each folder once however many links lead to it.

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
