"""Ids as sorted hashes of 64 bits, outside of the engine: 8 bytes each, and no text is held.

DuckDB alone: engines hash differently, and the others are asked by joins of the texts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from ibis import _

from comparison.engines.arrays import mapped

_ENGINE: Final = "duckdb"
_BATCH: Final = 1_000_000

AROUND: Final = 2**64
"""Where sums begin anew."""

Hashes = npt.NDArray[np.uint64]


@ibis.udf.scalar.builtin(name="hash")  # type: ignore[untyped-decorator]
def hash_of(text: str) -> dt.uint64:
    """Return DuckDB's hash: ibis makes it a signed number by way of a text of bits."""


def can_hash(table: ir.Table) -> bool:
    """Say whether the engine of a table hashes ids as they are compared here."""
    return bool(table.get_backend().name == _ENGINE)


@dataclass(frozen=True, slots=True)
class IdHashes:
    """Hold the hashes of a column of ids, sorted; ids that are missing have none.

    `check` is the sum of a second hash, which differs where an id stands for another one.
    """

    hashes: Hashes
    check: int

    @classmethod
    def of(cls, engine: Any, table: ir.Table, column: str) -> "IdHashes":
        """Read them by an engine, which knows the table by its name."""
        ids = table.filter(table[column].notnull()).select(**hashed(column))
        batches = engine.con.execute(engine.compile(ids)).to_arrow_reader(_BATCH)
        parts, check = [np.array([], dtype=np.uint64)], 0
        for hashes, more in mapped(_sorted, batches):  # sorted while the engine reads on
            parts.append(hashes)
            check = (check + more) % AROUND
        found = np.concatenate(parts)
        found.sort(kind="stable")  # merges what is sorted in parts
        return cls(found, check)

    @property
    def repeated(self) -> Hashes:
        """Return the hashes that occur more than once."""
        return np.unique(self.hashes[1:][self.hashes[1:] == self.hashes[:-1]])

    def missing_in(self, others: "IdHashes") -> Hashes:
        """Return the hashes that others have not."""
        return np.unique(np.concatenate([np.array([], np.uint64), *self._missing(others.hashes)]))

    def _missing(self, others: Hashes) -> Iterator[Hashes]:
        for begin in range(0, len(self.hashes), _BATCH):
            here = self.hashes[begin : begin + _BATCH]
            first, last = np.searchsorted(others, here[[0, -1]], side="left")
            near = others[first : last + 1]
            place = np.searchsorted(near, here)
            found = place < len(near)
            found[found] = near[place[found]] == here[found]
            yield here[~found]


def _sorted(batch: pa.RecordBatch) -> tuple[Hashes, int]:
    return np.sort(batch["hash"].to_numpy()), sum_of(batch["check"])


def hashed(column: str) -> dict[str, Any]:
    """Return both hashes of a column of ids."""
    return {"hash": hash_of(_[column]), "check": hash_of(_[column] + "#")}


def sum_of(checks: pa.Array | pa.ChunkedArray) -> int:
    """Return a sum, which begins anew at `AROUND`."""
    return int(checks.to_numpy().sum(dtype=np.uint64)) if len(checks) else 0
