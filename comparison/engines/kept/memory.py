"""Kept tables that a process holds in memory, since it will look again."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from comparison.engines.kept.part_files import PartFile, described
from comparison.engines.kept.tables import KeptTable, KeptTables, Merge

PATIENCE: Final = 24
"""Files that are counted before the table is written again: a new process counts no more anew."""

_REPEATED: Final = 1.5
"""Rows that are to be added up, by what is left of them: more take memory, and time to be read."""


@dataclass(frozen=True, slots=True)
class _Held:
    """Hold a table, and what is on the disk: which file, counted from what."""

    table: KeptTable
    file: tuple[int, ...] | None
    written: frozenset[bytes]
    merged: int = 0
    """Rows that it had when it was merged."""


@dataclass(slots=True)
class KeptMemory:
    """Hold the tables that were asked for since the last turn but one."""

    _held: dict[Path, _Held] = field(default_factory=dict)
    _before: dict[Path, _Held] = field(default_factory=dict)
    _columns: dict[bytes, str] = field(default_factory=dict)

    def turn(self) -> None:
        """Begin another look: what the last one did not ask for goes."""
        self._before, self._held = self._held, {}

    def are_alike(self, files: Iterable[PartFile]) -> bool:
        """Say whether files have the same columns; each is opened once."""
        self._columns = {
            file.origin: self._columns.get(file.origin) or described(file) for file in files
        }
        return len(set(self._columns.values())) == 1

    def get(self, path: Path) -> _Held | None:
        """Return the table of a path, None if none is held."""
        return self._held.get(path) or self._before.get(path)

    def put(self, path: Path, held: _Held) -> None:
        """Hold it until the turn after the next one."""
        self._held[path] = held


@dataclass(frozen=True, slots=True)
class RememberedTables(KeptTables):
    """Keep tables in a folder too, but read none twice, and write one once in a while."""

    memory: KeptMemory

    def read(self, name: str, part: str, origins: Collection[bytes]) -> KeptTable | None:
        """Return the table in memory, or that on the disk if another process has kept more."""
        path = self._path(name, part)
        held, file = self.memory.get(path), _file(path)
        if held is None or held.file != file:
            found = KeptTables.read(self, name, part, origins)
            if found is None:
                held = held and replace(held, file=file, written=frozenset())
            elif held is None or not held.table.origins.issuperset(found.origins):
                held = _Held(found, file, found.origins, len(found.table))
            else:
                held = replace(held, file=file, written=found.origins)
        if held is None or not held.table.origins.issubset(origins):
            return None
        self.memory.put(path, held)
        return held.table

    def write(
        self,
        name: str,
        part: str,
        origins: Collection[bytes],
        table: pa.Table,
        merge: Merge | None = None,
    ) -> None:
        """Hold a table; write it if that on the disk lacks many files, or has others."""
        path, known = self._path(name, part), frozenset(origins)
        held = self.memory.get(path)
        written = held.written if held and held.file == _file(path) else frozenset()
        is_due = not written or not written <= known or len(known - written) >= PATIENCE
        merged = held.merged if held else 0
        if merge and (is_due or len(table) > _REPEATED * merged):
            table, merge = merge(table), None
        if merge is None:
            merged = len(table)
        if is_due:
            KeptTables.write(self, name, part, origins, table)
            written = known
        found = KeptTable(table, known, is_merged=merged == len(table))
        self.memory.put(path, _Held(found, _file(path), written, merged))


def _file(path: Path) -> tuple[int, ...] | None:
    """Return what tells a file from the one that is put in its place."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
