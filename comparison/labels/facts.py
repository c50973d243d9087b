"""Facts about labels (columns, size, errors, digest), kept for files that have not changed."""

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from comparison.engines.kept.tables import KeptTables
from comparison.errors import LabelsUnreadableError
from comparison.labels.types import LabelType
from comparison.pairs.file_states import TIME_RESOLUTION
from comparison.pairs.stores.folders import StorePath

_NAME: Final = "labels"
_FACTS: Final = b"facts"


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """The columns and number of labels, and the problems found when they were read."""

    schema: pa.Schema
    size: int
    contradicted: int = 0
    """Number of request ids with differing labels, of which the last one counts."""
    refusals: Mapping[str, Mapping[LabelType, LabelsUnreadableError]] = field(default_factory=dict)
    """By column and type, the error why the column does not have this type."""
    digest: str | None = None
    """Changes with any label; None: not computed yet."""


@dataclass(frozen=True, slots=True)
class FilesState:
    """The state of files at a moment, which shows later whether they have changed."""

    name: str
    origin: bytes
    """A digest of the files' names, sizes, inodes and times of change."""

    @classmethod
    def of(cls, paths: Sequence[Path], values: Mapping[str, str]) -> "FilesState | None":
        """Return the state of files; `values` are the meanings of words in them.

        None if a change may go unnoticed: in an object store, or changed a moment ago.
        """
        if any(isinstance(path, StorePath) for path in paths):
            return None
        found, now = [], time.time_ns()
        for path in paths:
            try:
                at = os.stat(path)
            except OSError:
                return None
            if max(at.st_mtime_ns, at.st_ctime_ns) > now - TIME_RESOLUTION:
                return None
            times = at.st_mtime_ns, at.st_ctime_ns
            found.append((str(path.absolute()), at.st_size, at.st_dev, at.st_ino, *times))
        name = _digest(([each[0] for each in found], sorted(values.items()))).hex()[:32]
        return cls(name, _digest((found, sorted(values.items()))))

    def read(self, tables: KeptTables) -> LabelFacts | None:
        """Return the kept facts about these files, None without any."""
        kept = tables.read(_NAME, self.name, {self.origin})
        if kept is None:
            return None
        schema = kept.table.schema
        facts = json.loads(schema.metadata[_FACTS])
        refusals = {
            column: {LabelType(kind): LabelsUnreadableError(*each) for kind, each in errors.items()}
            for column, errors in facts["refusals"].items()
        }
        return LabelFacts(
            schema.remove_metadata(),
            facts["size"],
            facts["contradicted"],
            refusals,
            facts["digest"],
        )

    def write(self, tables: KeptTables, facts: LabelFacts) -> None:
        """Keep the facts about these files."""
        refusals = {
            column: {
                kind: (str(error.path), error.problem, error.place)
                for kind, error in errors.items()
            }
            for column, errors in facts.refusals.items()
        }
        content = {
            "size": facts.size,
            "contradicted": facts.contradicted,
            "refusals": refusals,
            "digest": facts.digest,
        }
        schema = facts.schema.with_metadata({_FACTS: json.dumps(content)})
        tables.write(_NAME, self.name, {self.origin}, schema.empty_table())


def _digest(value: object) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()
