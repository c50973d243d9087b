"""A few counts, added to many.

By arrays: an engine takes longer to plan the statement than this does, and copies all rows. Only
the rows that have values of the new ones in all columns are looked at any closer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from comparison.engines.arrays import distinct

_Rows = npt.NDArray[np.int64]

_SAMPLE: Final = 500
"""Rows of which is seen which column tells most."""

_MERGED: Final[Mapping[str, Callable[[pa.ChunkedArray, pa.ChunkedArray], pa.ChunkedArray]]] = {
    "sum": lambda before, new: pc.coalesce(pc.add(before, new), before, new),
    "least": pc.min_element_wise,
    "largest": pc.max_element_wise,
}
"""How a measure of two parts is taken together; what a part lacks is missing there."""


def added(
    before: pa.Table, new: pa.Table, by: Sequence[str], measures: Mapping[str, str]
) -> pa.Table:
    """Add counts by the columns `by` to others, where each combination has one row at most."""
    new = new.select(before.schema.names).cast(before.schema)
    places = _places(before, new, by)
    known = np.flatnonzero(places >= 0)
    known = known[np.argsort(places[known])]
    is_met = np.zeros(len(before), np.bool_)
    is_met[places[known]] = True
    rows, mask = pa.array(known), pa.array(is_met)
    further = new.filter(pa.array(places < 0))
    columns = {}
    for name in before.schema.names:
        column = before[name].combine_chunks()
        if name in measures and len(known):
            found = _MERGED[measures[name]](column.filter(mask), new[name].take(rows))
            column = pc.replace_with_mask(column, mask, _one_chunk(found))
        columns[name] = pa.chunked_array([column, *further[name].chunks], column.type)
    return pa.table(columns, before.schema)


def _places(before: pa.Table, new: pa.Table, by: Sequence[str]) -> _Rows:
    """Return the row that has the combination of each new one, -1 where there is none."""
    if not by:
        return np.zeros(len(new), np.int64) if len(before) else np.full(len(new), -1)
    rows = _alike(before, new, by)
    old = before.select(list(by)).take(pa.array(rows))
    both = pa.concat_tables([old, new.select(list(by))])
    numbers, _values = distinct([_codes(both[name]) for name in by])
    found = np.full(int(numbers.max(initial=-1)) + 1, -1)
    found[numbers[: len(rows)]] = rows
    return found[numbers[len(rows) :]]


def _alike(before: pa.Table, new: pa.Table, by: Sequence[str]) -> _Rows:
    """Return the rows whose value in each column is that of some new row."""
    values = {name: _signless(new[name]).unique() for name in by}

    def among(rows: _Rows, name: str) -> _Rows:
        some = before[name] if len(rows) == len(before) else before[name].take(pa.array(rows))
        found: _Rows = rows[pc.is_in(_one_chunk(_signless(some)), values[name]).to_numpy(False)]
        return found

    rows = np.arange(len(before))
    sample = rows[:: len(rows) // _SAMPLE + 1]
    for name in sorted(by, key=lambda each: len(among(sample, each))):  # what leaves few first
        rows = among(rows, name)
    return rows


def _codes(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    encoded = _one_chunk(_signless(column)).dictionary_encode(null_encoding="encode")
    found: npt.NDArray[Any] = encoded.indices.to_numpy()
    return found


def _signless(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column one zero only."""
    return pc.add(column, 0.0) if pa.types.is_floating(column.type) else column


def _one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
