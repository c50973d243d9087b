"""What is known of labels without reading them: kept for files that have not changed since."""

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
from comparison.pairs.file_states import SETTLED
from comparison.pairs.stores.folders import StorePath

_NAME: Final = "labels"
_FACTS: Final = b"facts"


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """Hold the columns of labels and their number, and what was found when they were read."""

    schema: pa.Schema
    size: int
    contradicted: int = 0
    """Request ids that had labels that differ; the last one is taken."""
    refusals: Mapping[str, Mapping[LabelType, LabelsUnreadableError]] = field(default_factory=dict)
    """By column, what speaks against taking it as another type."""
    digest: str | None = None
    """Differs where any label does; None: not asked for yet."""


@dataclass(frozen=True, slots=True)
class FilesSeen:
    """Tell files, as they were at a moment, from what they are once they have changed."""

    name: str
    origin: bytes
    """A digest of their names, sizes, places on the disk and times of change."""

    @classmethod
    def of(cls, paths: Sequence[Path], values: Mapping[str, str]) -> "FilesSeen | None":
        """Look at files; `values` are what words in them stand for.

        None if nothing tells whether they change: in an object store, or changed a moment ago.
        """
        if any(isinstance(path, StorePath) for path in paths):
            return None
        found, now = [], time.time_ns()
        for path in paths:
            try:
                at = os.stat(path)
            except OSError:
                return None
            if max(at.st_mtime_ns, at.st_ctime_ns) > now - SETTLED:
                return None
            times = at.st_mtime_ns, at.st_ctime_ns
            found.append((str(path.absolute()), at.st_size, at.st_dev, at.st_ino, *times))
        name = _digest(([each[0] for each in found], sorted(values.items()))).hex()[:32]
        return cls(name, _digest((found, sorted(values.items()))))

    def read(self, tables: KeptTables) -> LabelFacts | None:
        """Return what is kept of them."""
        held = tables.read(_NAME, self.name, {self.origin})
        if held is None:
            return None
        schema = held.table.schema
        told = json.loads(schema.metadata[_FACTS])
        refusals = {
            column: {LabelType(kind): LabelsUnreadableError(*each) for kind, each in held.items()}
            for column, held in told["refusals"].items()
        }
        return LabelFacts(
            schema.remove_metadata(), told["size"], told["contradicted"], refusals, told["digest"]
        )

    def write(self, tables: KeptTables, facts: LabelFacts) -> None:
        """Keep what was found in them."""
        refusals = {
            column: {
                kind: (str(error.path), error.problem, error.place) for kind, error in held.items()
            }
            for column, held in facts.refusals.items()
        }
        told = {
            "size": facts.size,
            "contradicted": facts.contradicted,
            "refusals": refusals,
            "digest": facts.digest,
        }
        schema = facts.schema.with_metadata({_FACTS: json.dumps(told)})
        tables.write(_NAME, self.name, {self.origin}, schema.empty_table())


def _digest(told: object) -> bytes:
    return hashlib.sha256(repr(told).encode()).digest()
