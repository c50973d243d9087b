"""Tables that are kept beside the pairs they were counted from, so that no look counts them again.

A file begins with a digest of all that follows, and says by which software its table was counted
and what from: where any of it is not as it should be, there is nothing. It is written beside its
place and moved there, so that a reader finds the old one, the new one or none.
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
"""Where they are, in a compacted folder; it can be removed at any time."""

UNUSED: Final = 30 * 86_400.0
"""Seconds after which a file that nobody has asked for goes."""

_KILLED: Final = 86_400.0
"""Seconds after which nobody writes a file any more."""

MOST_PARTS: Final = 4
"""Windows of time of which the same counts are kept."""

_DIGEST: Final = hashlib.sha256
_SIZE: Final = _DIGEST().digest_size


@cache
def software() -> bytes:
    """Return a digest of what counts: these packages, the engine, and what lies between."""
    found = _DIGEST()
    for package in ("duckdb", "ibis-framework", "numpy", "pandas", "pyarrow"):
        found.update(version(package).encode())
    for module in (comparison, flags):
        for path in sorted(Path(str(module.__file__)).parent.rglob("*.py")):
            found.update(path.read_bytes())
    return found.digest()


@dataclass(frozen=True, slots=True)
class KeptTable:
    """Hold a table, and the origins of all that it was counted from."""

    table: pa.Table
    origins: frozenset[bytes]
    is_merged: bool = True
    """Whether it has one row for each combination of values, and not several to be added up."""


Merge = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True, slots=True)
class KeptTables:
    """Keep tables in a folder by name and part; a place that cannot be written keeps none.

    Of one name, there are MOST_PARTS at most: those that were asked for last.
    """

    folder: Path

    def read(self, name: str, part: str, origins: Collection[bytes]) -> KeptTable | None:
        """Return a table that was counted from some of these origins.

        None unless it is there, whole, and was counted by this software from nothing else.
        """
        path = self._path(name, part)
        try:
            held = memoryview(path.read_bytes())
            digest, told = held[:_SIZE], _told(name, part)
            if digest != _DIGEST(held[_SIZE:]).digest() or held[_SIZE : 2 * _SIZE] != told:
                return None
            number = int.from_bytes(held[2 * _SIZE : 2 * _SIZE + 8])
            body = 2 * _SIZE + 8 + number * _SIZE
            known = frozenset(
                bytes(held[at : at + _SIZE]) for at in range(2 * _SIZE + 8, body, _SIZE)
            )
            if not known.issubset(origins):
                return None
            table = pa.ipc.open_file(pa.py_buffer(held[body:])).read_all()
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

        One with rows to be added up is merged before.
        """
        table = merge(table) if merge else table
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        number = len(origins).to_bytes(8)
        held = b"".join((_told(name, part), number, *origins, memoryview(sink.getvalue())))
        path = self._path(name, part)
        beside = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            path.parent.mkdir(exist_ok=True)
            beside.write_bytes(_DIGEST(held).digest() + held)
            beside.replace(path)
            parts = self.folder.glob(f"{name}.*")
            for old in sorted(parts, key=lambda each: each.stat().st_mtime)[:-MOST_PARTS]:
                old.unlink()
        except OSError:
            with suppress(OSError):
                beside.unlink()
        pa.default_memory_pool().release_unused()  # Arrow would hold what it was written with

    def tidy(self) -> None:
        """Remove files that were not read for long, and unfinished files of killed writers."""
        now = time.time()
        for path in self._files():
            with suppress(OSError):
                if path.stat().st_mtime < now - (_KILLED if path.name[0] == "." else UNUSED):
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
class WholeTables:
    """Keep tables that were counted from all pairs of a place, which are those of `origins`."""

    tables: KeptTables
    origins: frozenset[bytes]
    bound: Callable[[datetime | None], int | None]
    """Returns a bound of time in nanoseconds; None where no pair is later, 0 where all are."""
    only_labelled: bool = False
    """Whether that does not pay for what can be added up."""

    def read(self, name: str, told: str) -> pa.Table | None:
        """Return the table of that name that `told` the same."""
        found = self.tables.read(name, _part(told), self.origins)
        return found.table if found and found.origins == self.origins else None

    def write(self, name: str, told: str, table: pa.Table) -> None:
        """Keep a table."""
        self.tables.write(name, _part(told), self.origins, table)


def _part(told: str) -> str:
    return _DIGEST(told.encode()).hexdigest()[:32]


def _told(name: str, part: str) -> bytes:
    return _DIGEST(software() + f"{name} {part}".encode()).digest()
