"""Find and open pair files, plain or compressed: by gzip, or by Zstandard."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

from comparison.errors import PairsUnreadableError
from comparison.pairs.stores import StorePath

PLAIN: Final = ".jsonl"
NAMES: Final = (PLAIN, f"{PLAIN}.gz", f"{PLAIN}.zst")
"""How the names of pair files end."""

STATE_FILE: Final = "compaction.json"
"""Is there in a folder that `compact` writes, and says what has been taken so far."""

_OURS: Final = (".shipped",)
"""How the names of files end that are written beside them."""

_BLOCK: Final = 2**20


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
    every = sorted(below(source))
    found = {path.resolve(): path for path in reversed(every) if path.name.endswith(NAMES)}
    others = [path for path in every if not path.name.endswith((*NAMES, *_OURS))]
    if others and not found:
        named = ", ".join(path.name for path in others[:3])
        raise PairsUnreadableError(
            source, f"none of its {len(others)} files ({named}) ends in {', '.join(NAMES)}"
        )
    return sorted(found.values())


def open_file(path: Path) -> IO[bytes]:
    """Open a pair file to read its lines, unpacked. Raises OSError."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path.open("rb") if _in_store(path) else path, "rb"))
    if path.suffix == ".zst":
        return cast(IO[bytes], _ZstandardFile(path))
    return path.open("rb", buffering=-1 if _in_store(path) else 0)


def _in_store(path: object) -> bool:
    return isinstance(path, StorePath)


def is_compressed(path: Path) -> bool:
    """Say whether its size on disk is not that of its lines."""
    return path.suffix in (".gz", ".zst")


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


class _ZstandardFile:
    """Read a file of Zstandard frames by Arrow, whose stream does not seek."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
        except ImportError:
            raise PairsUnreadableError(
                path, "Zstandard needs pyarrow (pip install 'bentoml-flags[comparison]')"
            ) from None
        self._file: Any = path.open("rb") if _in_store(path) else pa.OSFile(str(path))
        self._stream = pa.CompressedInputStream(self._file, "zstd")

    def read(self, size: int) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except OSError as error:
            if "runcated" in str(error):  # as gzip says it
                raise EOFError(str(error)) from None
            raise

    def seek(self, position: int) -> int:
        left = position
        while left and (data := self.read(min(left, _BLOCK))):
            left -= len(data)
        return position - left

    def __enter__(self) -> "_ZstandardFile":
        return self

    def __exit__(self, *_: Any) -> None:
        self._stream.close()
        self._file.close()
