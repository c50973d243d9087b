"""Kept tables that a process holds in memory between its looks."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from comparison.engines.kept.part_files import PartFile, schema_text
from comparison.engines.kept.tables import KeptTable, KeptTables, Merge

WRITE_AFTER_FILES: Final = 24
"""New files after which a table is written again: a new process recounts no more than these."""

_MERGE_FROM: Final = 1.5
"""Unmerged rows per merged row from which a table is merged: more take memory and reading time."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A table in memory, and the identity and origins of its file on disk."""

    table: KeptTable
    file: tuple[int, ...] | None
    written: frozenset[bytes]
    merged: int = 0
    """Rows of the table when it was last merged."""


@dataclass(slots=True)
class KeptMemory:
    """The tables that were used in the current look or the one before."""

    _current: dict[Path, _Remembered] = field(default_factory=dict)
    _previous: dict[Path, _Remembered] = field(default_factory=dict)
    _columns: dict[bytes, str] = field(default_factory=dict)

    def begin_look(self) -> None:
        """Begin a new look: drop the tables that the last look did not use."""
        self._previous, self._current = self._current, {}

    def have_same_columns(self, files: Iterable[PartFile]) -> bool:
        """Return whether files have the same columns; each file is opened once."""
        self._columns = {
            file.origin: self._columns.get(file.origin) or schema_text(file) for file in files
        }
        return len(set(self._columns.values())) == 1

    def get(self, path: Path) -> _Remembered | None:
        """Return the table of a path; None if it is not in memory."""
        return self._current.get(path) or self._previous.get(path)

    def put(self, path: Path, remembered: _Remembered) -> None:
        """Keep a table for this look and the next."""
        self._current[path] = remembered


@dataclass(frozen=True, slots=True)
class RememberedTables(KeptTables):
    """Kept tables that are also in memory: none is read twice, small additions are not written."""

    memory: KeptMemory

    def read(self, name: str, part: str, origins: Collection[bytes]) -> KeptTable | None:
        """Return the table in memory, or the one on disk if another process wrote a newer one."""
        path = self._path(name, part)
        remembered, file = self.memory.get(path), _file_identity(path)
        if remembered is None or remembered.file != file:
            found = KeptTables.read(self, name, part, origins)
            if found is None:
                remembered = remembered and replace(remembered, file=file, written=frozenset())
            elif remembered is None or not remembered.table.origins.issuperset(found.origins):
                remembered = _Remembered(found, file, found.origins, len(found.table))
            else:
                remembered = replace(remembered, file=file, written=found.origins)
        if remembered is None or not remembered.table.origins.issubset(origins):
            return None
        self.memory.put(path, remembered)
        return remembered.table

    def write(
        self,
        name: str,
        part: str,
        origins: Collection[bytes],
        table: pa.Table,
        merge: Merge | None = None,
    ) -> None:
        """Put a table in memory; write it if the one on disk lacks many files or has others."""
        path, known = self._path(name, part), frozenset(origins)
        remembered = self.memory.get(path)
        written = (
            remembered.written
            if remembered and remembered.file == _file_identity(path)
            else frozenset()
        )
        is_due = not written or not written <= known or len(known - written) >= WRITE_AFTER_FILES
        merged = remembered.merged if remembered else 0
        if merge and (is_due or len(table) > _MERGE_FROM * merged):
            table, merge = merge(table), None
        if merge is None:
            merged = len(table)
        if is_due:
            KeptTables.write(self, name, part, origins, table)
            written = known
        found = KeptTable(table, known, is_merged=merged == len(table))
        self.memory.put(path, _Remembered(found, _file_identity(path), written, merged))


def _file_identity(path: Path) -> tuple[int, ...] | None:
    """Return the identity of a file, which changes when the file is replaced."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
