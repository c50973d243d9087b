"""Tables of counts that are kept beside the pairs, so that later looks do not count them again.

A file begins with a digest of all that follows, then a digest of the software that counted, then
the origins of the table. If any of these does not match, the file is ignored. It is written under
another name and then renamed, so that a reader finds the old file, the new one or none.
"""

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow as pa

import comparison
import flags

KEPT: Final = "kept"
"""The folder of kept tables in a compacted folder; it can be removed at any time."""

UNUSED: Final = 30 * 86_400.0
"""Seconds without a read after which a file is removed."""

_UNFINISHED: Final = 86_400.0
"""Seconds after which an unfinished file is taken for that of a killed writer."""

MOST_PARTS: Final = 4
"""Parts, such as windows of time, for which the same counts are kept at most."""

_DIGEST: Final = hashlib.sha256
_DIGEST_SIZE: Final = _DIGEST().digest_size


@cache
def software() -> bytes:
    """Return a digest of the software that counts: these packages, the engine, the libraries."""
    found = _DIGEST()
    for package in ("duckdb", "ibis-framework", "numpy", "pandas", "pyarrow"):
        found.update(version(package).encode())
    for module in (comparison, flags):
        for path in sorted(Path(str(module.__file__)).parent.rglob("*.py")):
            found.update(path.read_bytes())
    return found.digest()


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table, and the origins of the files that it was counted from."""

    table: pa.Table
    origins: frozenset[bytes]
    is_merged: bool = True
    """Whether each combination of values has only one row."""


Merge = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True, slots=True)
class KeptTables:
    """A folder of kept tables by name and part (a window, or a digest of parameters).

    A folder that cannot be written keeps none. For each name, only the MOST_PARTS parts that were
    used last are kept.
    """

    folder: Path

    def read(self, name: str, part: str, origins: Collection[bytes]) -> KeptTable | None:
        """Return the table if it was counted from some of these origins and nothing else.

        None if it is missing, damaged, or counted by other software or from other origins.
        """
        path = self._path(name, part)
        try:
            data = memoryview(path.read_bytes())
            digest, identity = data[:_DIGEST_SIZE], _identity(name, part)
            if (
                digest != _DIGEST(data[_DIGEST_SIZE:]).digest()
                or data[_DIGEST_SIZE : 2 * _DIGEST_SIZE] != identity
            ):
                return None
            number = int.from_bytes(data[2 * _DIGEST_SIZE : 2 * _DIGEST_SIZE + 8])
            body = 2 * _DIGEST_SIZE + 8 + number * _DIGEST_SIZE
            known = frozenset(
                bytes(data[at : at + _DIGEST_SIZE])
                for at in range(2 * _DIGEST_SIZE + 8, body, _DIGEST_SIZE)
            )
            if not known.issubset(origins):
                return None
            table = pa.ipc.open_file(pa.py_buffer(data[body:])).read_all()
        except (OSError, ValueError, pa.ArrowException):
            return None
        with suppress(OSError):
            os.utime(path)
        return KeptTable(table, known)

    def write(
        self,
        name: str,
        part: str,
        origins: Collection[bytes],
        table: pa.Table,
        merge: Merge | None = None,
    ) -> None:
        """Keep a table; it replaces the one of the same name and part.

        With `merge`, the table has unmerged rows, and is merged first.
        """
        table = merge(table) if merge else table
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        number = len(origins).to_bytes(8)
        data = b"".join((_identity(name, part), number, *origins, memoryview(sink.getvalue())))
        path = self._path(name, part)
        beside = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            path.parent.mkdir(exist_ok=True)
            beside.write_bytes(_DIGEST(data).digest() + data)
            beside.replace(path)
            parts = self.folder.glob(f"{name}.*")
            for old in sorted(parts, key=lambda each: each.stat().st_mtime)[:-MOST_PARTS]:
                old.unlink()
        except OSError:
            with suppress(OSError):
                beside.unlink()
        pa.default_memory_pool().release_unused()  # Arrow would keep the buffers of the write

    def tidy(self) -> None:
        """Remove files that were not read for long, and unfinished files of killed writers."""
        now = time.time()
        for path in self._files():
            with suppress(OSError):
                if path.stat().st_mtime < now - (_UNFINISHED if path.name[0] == "." else UNUSED):
                    path.unlink()

    def size(self) -> tuple[int, int]:
        """Return how many tables there are, and how many bytes they take."""
        sizes = [path.stat().st_size for path in self._files() if path.name[0] != "."]
        return len(sizes), sum(sizes)

    def _files(self) -> Iterator[Path]:
        with suppress(OSError):
            yield from sorted(self.folder.iterdir())

    def _path(self, name: str, part: str) -> Path:
        return self.folder / f"{name}.{part}.arrow"


@dataclass(frozen=True, slots=True)
class PlaceTables:
    """Kept tables that were counted from all pairs of a place; `origins` identify these pairs."""

    tables: KeptTables
    origins: frozenset[bytes]
    bound: Callable[[datetime | None], int | None]
    """Returns a bound of time in nanoseconds: None if no pair is later, 0 if all are."""
    only_labelled: bool = False
    """Whether to keep only tables that depend on labels: other counts are in memory already."""

    def read(self, name: str, cache_key: str) -> pa.Table | None:
        """Return the table of that name and cache key; None if it is of other origins."""
        found = self.tables.read(name, _part(cache_key), self.origins)
        return found.table if found and found.origins == self.origins else None

    def write(self, name: str, cache_key: str, table: pa.Table) -> None:
        """Keep a table under a name and a cache key."""
        self.tables.write(name, _part(cache_key), self.origins, table)


def _part(cache_key: str) -> str:
    return _DIGEST(cache_key.encode()).hexdigest()[:32]


def _identity(name: str, part: str) -> bytes:
    return _DIGEST(software() + f"{name} {part}".encode()).digest()
