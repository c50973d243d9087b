"""Ids as hashes of 64 bits, outside of the engine: 8 bytes each, and no text is held.

They lie in ranges, in a temporary file where they are many: one range is in memory at a time.

DuckDB alone: engines hash differently, and the others are asked by joins of the texts.
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

_ENGINE: Final = "duckdb"

_RANGE_BITS: Final = 8
_RANGES: Final = 2**_RANGE_BITS
"""Of a hundred million ids, a range has 3 MB."""

_IN_MEMORY: Final = 2**25
"""Bytes of hashes of one column of ids; more are in a temporary file."""

AROUND: Final = 2**64
"""Where sums begin anew."""

Hashes = npt.NDArray[np.uint64]


@ibis.udf.scalar.builtin(name="hash")  # type: ignore[untyped-decorator]
def hash_of(text: str) -> dt.uint64:
    """Return DuckDB's hash: ibis makes it a signed number by way of a text of bits."""


def can_hash(table: ir.Table) -> bool:
    """Say whether the engine of a table hashes ids as they are compared here."""
    return bool(table.get_backend().name == _ENGINE)


@dataclass(slots=True)
class _Ranges:
    """Hold hashes by their first bits: each written batch has a part of each range."""

    file: Any = field(default_factory=lambda: SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115
    ends: list[npt.NDArray[np.int64]] = field(default_factory=list)
    """Of each batch: where in the file its ranges begin, and where the last one ends."""

    def __del__(self) -> None:
        """Remove the file."""
        self.file.close()

    def write(self, hashes: Hashes, ends: npt.NDArray[np.int64]) -> None:
        """Add a batch that is in the order of the ranges, which end at these places."""
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
        """Return the same, each range as a whole and sorted; and what occurs more than once."""
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
    """Hold the hashes of a column of ids; ids that are missing have none."""

    ranges: _Ranges
    size: int
    repeated: Hashes
    """Those that occur more than once."""
    sums: Mapping[str, int]
    """Of further columns that were read with the ids."""

    @property
    def check(self) -> int:
        """Return the sum of a second hash, which differs where an id stands for another one."""
        return self.sums["check"]

    @classmethod
    def of(cls, engine: Any, table: ir.Table, column: str) -> "IdHashes":
        """Read them by an engine, which knows the table by its name."""
        ids = table.filter(table[column].notnull()).select(**hashed(column))
        return cls.read(engine.con.execute(engine.compile(ids)).to_arrow_reader(BATCH))

    @classmethod
    def read(cls, batches: pa.RecordBatchReader) -> "IdHashes":
        """Take the column `hash`; the others, of whole numbers without a sign, are added up."""
        sums = {name: 0 for name in batches.schema.names if name != "hash"}
        found, size = _Ranges(), 0
        for hashes, ends, more in mapped(_parted, batches):  # while the engine reads on
            found.write(hashes, ends)
            size += len(hashes)
            sums = {name: (sums[name] + more[name]) % AROUND for name in sums}
        ordered, repeated = found.ordered()
        return cls(ordered, size, repeated, sums)

    def apart(self, others: "IdHashes") -> tuple[Hashes, Hashes]:
        """Return the hashes that others have not, and those that only others have."""
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


def _parted(batch: pa.RecordBatch) -> tuple[Hashes, npt.NDArray[np.int64], dict[str, int]]:
    """Return hashes in the order of their ranges, where these end, and the sums of the others."""
    hashes = batch["hash"].drop_null().to_numpy()
    numbers = (hashes >> np.uint64(64 - _RANGE_BITS)).astype(np.uint8)
    ends = np.cumsum(np.bincount(numbers, minlength=_RANGES))
    sums = {name: sum_of(batch[name]) for name in batch.schema.names if name != "hash"}
    return hashes[np.argsort(numbers, kind="stable")], ends, sums


def hashed(column: str) -> dict[str, Any]:
    """Return both hashes of a column of ids."""
    return {"hash": hash_of(_[column]), "check": hash_of(_[column] + "#")}


def sum_of(numbers: pa.Array | pa.ChunkedArray) -> int:
    """Return a sum, which begins anew at `AROUND`."""
    known = numbers.drop_null()
    return int(known.to_numpy().sum(dtype=np.uint64)) if len(known) else 0
