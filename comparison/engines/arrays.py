"""Count the rows of an engine in this process with numpy, batch by batch.

Arithmetic and grouping cost numpy a fraction of what they cost an engine. An engine is also slow to
group by numbers whose last bits are zeros, as those of rounded numbers are.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Generic, TypeVar

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from comparison.engines.grouping import booleans_as_integers
from comparison.pairs.machine import cores

BATCH: Final = 250_000
"""Rows of a batch, which one thread counts: smaller ones leave more to add up, larger ones take
more memory."""

_DENSE: Final = 4
"""Up to so many possible combinations per row, an array of all is cheaper than hashing."""

_MISSING: Final = -1

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

_P = TypeVar("_P")
_T = TypeVar("_T")
_S = TypeVar("_S")


@dataclass(frozen=True, slots=True)
class ArrayRows(Generic[_P]):
    """The columns that the engine selects from pairs, and what numpy computes from a batch of them.

    Together they do what `MergeableCounts.rows` does. Booleans are numbers of one byte, -1 if
    missing; no other column may have missing values.
    """

    select: Callable[[_P], ir.Table]
    compute: Callable[[pa.RecordBatch], Arrays]

    def statement(self, pairs: _P) -> ir.Table:
        """Return the statement whose rows the engine returns in batches."""
        return booleans_as_integers(self.select(pairs))

    def after(self, prepare: Callable[[ir.Table], _P]) -> "ArrayRows[ir.Table]":
        """Return the same for a table that `prepare` turns into these pairs first."""
        return ArrayRows(lambda table: self.select(prepare(table)), self.compute)


def counted_batches(
    batches: pa.RecordBatchReader,
    compute: Callable[[pa.RecordBatch], Arrays],
    by: Sequence[str],
    measures: Mapping[str, str],
) -> Iterator[pa.Table]:
    """Yield the counts of each batch; without rows, those of one empty batch."""

    def counted(batch: pa.RecordBatch) -> pa.Table:
        return group(compute(batch), by, measures)

    none = pa.RecordBatch.from_pylist([], schema=batches.schema)
    every = iter(batches)
    yield from mapped(counted, chain([next(every, none)], every))


def group(columns: Arrays, by: Sequence[str], measures: Mapping[str, str]) -> pa.Table:
    """Return one row for each combination of the columns `by`, with its measures."""
    numbers, keys = distinct([columns[name] for name in by])
    size = len(keys[0])
    taken = {
        name: _measured(columns.get(name), how, numbers, size) for name, how in measures.items()
    }
    held = {
        name: pa.array(key, mask=key == _MISSING if key.dtype == np.int8 else None)
        for name, key in zip(by, keys, strict=True)
    }
    return pa.table({**held, **taken})


def truths(column: pa.Array) -> Array:
    """Convert a column of booleans to an array of one byte each, -1 if missing."""
    found: Array = column.cast(pa.int8()).fill_null(_MISSING).to_numpy()
    return found


def numbers(column: pa.Array) -> Array:
    """Convert a column of `group`'s result back to an array of its input form."""
    return truths(column) if column.type == pa.int8() else column.to_numpy()


def distinct(columns: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Number the distinct rows: return the number of each row, and the values by number."""
    encoded = [_encoded(column) for column in columns]
    order = sorted(range(len(columns)), key=lambda place: len(encoded[place][1]))
    keys: dict[int, Array] = {}
    numbers, size = np.zeros(len(columns[0]), np.int64), 1
    for place in order:  # columns with few values first, so that few combinations are renumbered
        codes, values = encoded[place]
        numbers, both = _renumbered(numbers * len(values) + codes, size * len(values))
        keys = {name: held[both // len(values)] for name, held in keys.items()}
        keys[place] = values[both % len(values)]
        size = len(both)
    return numbers, [keys[place] for place in range(len(columns))]


def _encoded(values: Array) -> tuple[Array, Array]:
    found = pa.array(values).dictionary_encode()
    return found.indices.to_numpy(), found.dictionary.to_numpy()


def _renumbered(numbers: Array, size: int) -> tuple[Array, Array]:
    """Renumber the numbers below `size` that occur, without gaps; return old numbers by new."""
    if size > _DENSE * len(numbers):
        return _encoded(numbers)
    used = np.zeros(size, np.bool_)
    used[numbers] = True
    return (np.cumsum(used) - 1)[numbers], np.flatnonzero(used)


def _measured(values: Array | None, how: str, numbers: Array, size: int) -> Array:
    if values is None:
        return np.bincount(numbers, minlength=size)
    if how == "sum":
        found = np.zeros(size, values.dtype)
        np.add.at(found, numbers, values)
        return found
    # Start from any row of each group.
    found = np.empty(size, values.dtype)
    found[numbers] = values
    (np.minimum if how == "least" else np.maximum).at(found, numbers, values)
    return found


def mapped(function: Callable[[_S], _T], items: Iterable[_S]) -> Iterator[_T]:
    """Apply a function to each item, in order, with a thread for each processor.

    It reads only as many items as the threads need: an executor's own `map` reads all at once.
    """
    threads = cores()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[_T]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
