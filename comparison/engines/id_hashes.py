"""Ids as 64-bit hashes outside of the engine: 8 bytes each instead of a text.

The hashes are divided into ranges by their first bits. Many of them are in a temporary file, so
that only one range is in memory at a time.

Only for DuckDB: engines hash differently. In other engines, ids are compared by joins of the texts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any, Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from ibis import _

from comparison.engines.arrays import BATCH, mapped

_HASHING_ENGINE: Final = "duckdb"

_RANGE_BITS: Final = 8
_RANGES: Final = 2**_RANGE_BITS
"""With a hundred million ids, a range has 3 MB."""

_MAX_IN_MEMORY_BYTES: Final = 2**25
"""Bytes of hashes that are held in memory; beyond that they go to a temporary file."""

MODULUS: Final = 2**64
"""Modulus of sums of hashes."""

Hashes = npt.NDArray[np.uint64]


@ibis.udf.scalar.builtin(name="hash")  # type: ignore[untyped-decorator]
def hash_of(text: str) -> dt.uint64:
    """Call DuckDB's `hash`; ibis's own `hash` converts it to a signed number through a text."""


def can_hash(table: ir.Table) -> bool:
    """Return whether ids of this table can be hashed: only DuckDB's."""
    return bool(table.get_backend().name == _HASHING_ENGINE)


@dataclass(slots=True)
class _Ranges:
    """Hashes by range, in a file; each batch that is written has a part of each range."""

    file: Any = field(default_factory=lambda: SpooledTemporaryFile(_MAX_IN_MEMORY_BYTES))  # noqa: SIM115
    ends: list[npt.NDArray[np.int64]] = field(default_factory=list)
    """For each batch: positions in the file where its ranges begin, and where the last one ends."""

    def __del__(self) -> None:
        """Close the file, which removes it."""
        self.file.close()

    def write(self, hashes: Hashes, ends: npt.NDArray[np.int64]) -> None:
        """Add a batch, sorted by range; `ends` are the positions in it where the ranges end."""
        begin = self.ends[-1][-1] if self.ends else 0
        self.ends.append(np.concatenate([[begin], begin + ends]))
        self.file.write(hashes)

    def read(self, number: int) -> Hashes:
        """Return the hashes of a range."""
        parts = [np.array([], np.uint64)]
        for ends in self.ends:
            begin, end = ends[number : number + 2].tolist()
            self.file.seek(8 * begin)
            parts.append(np.frombuffer(self.file.read(8 * (end - begin)), np.uint64))
        return np.concatenate(parts)

    def ordered(self) -> tuple["_Ranges", Hashes]:
        """Return the hashes with each range contiguous and sorted, and the repeated hashes."""
        found, sizes, repeated = _Ranges(), [], []
        for number in range(_RANGES):
            here = np.sort(self.read(number))
            sizes.append(len(here))
            found.file.write(here)
            repeated.append(np.unique(here[1:][here[1:] == here[:-1]]))
        found.ends.append(np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]))
        return found, np.concatenate(repeated)


@dataclass(frozen=True, slots=True)
class IdHashes:
    """The hashes of a column of ids, without missing ids."""

    ranges: _Ranges
    size: int
    repeated: Hashes
    """Hashes that occur more than once."""
    sums: Mapping[str, int]
    """Sums modulo `MODULUS` of the other columns that were read with the hashes."""

    @property
    def check(self) -> int:
        """Return the sum of a second hash: it reveals different ids with the same first hash."""
        return self.sums["check"]

    @classmethod
    def of(cls, engine: Any, table: ir.Table, column: str) -> "IdHashes":
        """Hash a column of a registered table in the engine, and read the hashes."""
        ids = table.filter(table[column].notnull()).select(**hash_columns(column))
        return cls.read(engine.con.execute(engine.compile(ids)).to_arrow_reader(BATCH))

    @classmethod
    def read(cls, batches: pa.RecordBatchReader) -> "IdHashes":
        """Read the column `hash`; sum the other columns, which are unsigned integers."""
        sums = {name: 0 for name in batches.schema.names if name != "hash"}
        found, size = _Ranges(), 0
        # Threads sort the batches, while the engine reads on.
        for hashes, ends, more in mapped(_sort_by_range, batches):
            found.write(hashes, ends)
            size += len(hashes)
            sums = {name: (sums[name] + more[name]) % MODULUS for name in sums}
        ordered, repeated = found.ordered()
        return cls(ordered, size, repeated, sums)

    def difference(self, others: "IdHashes") -> tuple[Hashes, Hashes]:
        """Return the hashes that only these ids have, and those that only the others have."""
        here, there = [], []
        for one, other in zip(_all_ranges(self.ranges), _all_ranges(others.ranges), strict=True):
            if not np.array_equal(one, other):
                here.append(np.unique(one[~np.isin(one, other)]))
                there.append(np.unique(other[~np.isin(other, one)]))
        return _joined(here), _joined(there)


def _all_ranges(ranges: _Ranges) -> Iterator[Hashes]:
    return (ranges.read(number) for number in range(_RANGES))


def _joined(parts: Iterable[Hashes]) -> Hashes:
    return np.concatenate([np.array([], np.uint64), *parts])


def _sort_by_range(batch: pa.RecordBatch) -> tuple[Hashes, npt.NDArray[np.int64], dict[str, int]]:
    """Return hashes sorted by range, the positions where ranges end, and the sums of the others."""
    hashes = batch["hash"].drop_null().to_numpy()
    numbers = (hashes >> np.uint64(64 - _RANGE_BITS)).astype(np.uint8)
    ends = np.cumsum(np.bincount(numbers, minlength=_RANGES))
    sums = {name: modular_sum(batch[name]) for name in batch.schema.names if name != "hash"}
    return hashes[np.argsort(numbers, kind="stable")], ends, sums


def hash_columns(column: str) -> dict[str, Any]:
    """Return the columns `hash` and `check`: both hashes of a column of ids."""
    return {"hash": hash_of(_[column]), "check": hash_of(_[column] + "#")}


def modular_sum(numbers: pa.Array | pa.ChunkedArray) -> int:
    """Return the sum of a column modulo `MODULUS`."""
    known = numbers.drop_null()
    return int(known.to_numpy().sum(dtype=np.uint64)) if len(known) else 0
