"""Rows that an engine in this process hands over in batches, to be counted as arrays.

Arithmetic and grouping cost numpy a fraction of what they cost an engine, which also would group by
numbers that end in zeros, as rounded ones do, slowly.
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

from comparison.engines.grouping import in_numbers
from comparison.pairs.machine import cores

BATCH: Final = 250_000
"""Rows that a thread counts at once: fewer leave more to be added up, more take memory."""

_DENSE: Final = 4
"""Up to so many combinations for each row, a place for each of them is cheaper than hashing."""

_MISSING: Final = -1

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

_P = TypeVar("_P")
_T = TypeVar("_T")
_S = TypeVar("_S")


@dataclass(frozen=True, slots=True)
class ArrayRows(Generic[_P]):
    """Say which columns of pairs the engine hands over, and what numpy makes of a batch of them.

    Together they do what the `rows` of the counts do. Truths are numbers of one byte, -1 where they
    are missing; nothing else may be missing.
    """

    handed: Callable[[_P], ir.Table]
    made: Callable[[pa.RecordBatch], Arrays]

    def statement(self, pairs: _P) -> ir.Table:
        """Return what the engine hands over."""
        return in_numbers(self.handed(pairs))

    def of(self, pairs: Callable[[ir.Table], _P]) -> "ArrayRows[ir.Table]":
        """Return those of a table, of which `pairs` makes what is asked here."""
        return ArrayRows(lambda table: self.handed(pairs(table)), self.made)


def counted_batches(
    batches: pa.RecordBatchReader,
    made: Callable[[pa.RecordBatch], Arrays],
    by: Sequence[str],
    measures: Mapping[str, str],
) -> Iterator[pa.Table]:
    """Yield the counts of each batch, of one at least."""

    def counted(batch: pa.RecordBatch) -> pa.Table:
        return group(made(batch), by, measures)

    none = pa.RecordBatch.from_pylist([], schema=batches.schema)
    every = iter(batches)
    yield from mapped(counted, chain([next(every, none)], every))


def group(columns: Arrays, by: Sequence[str], measures: Mapping[str, str]) -> pa.Table:
    """Return one row for each combination of the columns `by`, with what is measured of it."""
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
    """Return a column of truths as an array."""
    found: Array = column.cast(pa.int8()).fill_null(_MISSING).to_numpy()
    return found


def numbers(column: pa.Array) -> Array:
    """Return a column that `group` has made as the array that it was made of."""
    return truths(column) if column.type == pa.int8() else column.to_numpy()


def distinct(columns: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Return the number of each row's combination of values, and the columns of these."""
    encoded = [_encoded(column) for column in columns]
    order = sorted(range(len(columns)), key=lambda place: len(encoded[place][1]))
    keys: dict[int, Array] = {}
    numbers, size = np.zeros(len(columns[0]), np.int64), 1
    for place in order:  # few values first, so that what is numbered again is small
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
    """Number those of `size` that occur, without gaps."""
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
    # Of each group, any row will do to begin with.
    found = np.empty(size, values.dtype)
    found[numbers] = values
    (np.minimum if how == "least" else np.maximum).at(found, numbers, values)
    return found


def mapped(function: Callable[[_S], _T], items: Iterable[_S]) -> Iterator[_T]:
    """Yield what a function makes of each item, with a thread for each processor.

    No more items are taken than threads need: an executor's own `map` takes all at once.
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
