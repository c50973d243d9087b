"""Merge few new counts into many existing ones.

This uses arrays: an engine needs longer to plan the statement than this takes, and copies all rows.
Only existing rows whose value in every column occurs in the new rows are compared.
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
"""Rows of the sample that shows which column excludes most rows."""

_MERGE: Final[Mapping[str, Callable[[pa.ChunkedArray, pa.ChunkedArray], pa.ChunkedArray]]] = {
    "sum": lambda before, new: pc.coalesce(pc.add(before, new), before, new),
    "least": pc.min_element_wise,
    "largest": pc.max_element_wise,
}
"""How a measure of two parts is merged; it is missing in a part without values."""


def add_counts(
    before: pa.Table, new: pa.Table, by: Sequence[str], measures: Mapping[str, str]
) -> pa.Table:
    """Merge counts by the columns `by`; in each table a combination has at most one row."""
    new = new.select(before.schema.names).cast(before.schema)
    places = _matching_rows(before, new, by)
    known = np.flatnonzero(places >= 0)
    known = known[np.argsort(places[known])]
    is_matched = np.zeros(len(before), np.bool_)
    is_matched[places[known]] = True
    rows, mask = pa.array(known), pa.array(is_matched)
    further = new.filter(pa.array(places < 0))
    columns = {}
    for name in before.schema.names:
        column = before[name].combine_chunks()
        if name in measures and len(known):
            found = _MERGE[measures[name]](column.filter(mask), new[name].take(rows))
            column = pc.replace_with_mask(column, mask, _one_chunk(found))
        columns[name] = pa.chunked_array([column, *further[name].chunks], column.type)
    return pa.table(columns, before.schema)


def _matching_rows(before: pa.Table, new: pa.Table, by: Sequence[str]) -> _Rows:
    """Return for each new row the existing row with the same combination, or -1."""
    if not by:
        return np.zeros(len(new), np.int64) if len(before) else np.full(len(new), -1)
    rows = _candidates(before, new, by)
    old = before.select(list(by)).take(pa.array(rows))
    both = pa.concat_tables([old, new.select(list(by))])
    numbers, _values = distinct([_codes(both[name]) for name in by])
    found = np.full(int(numbers.max(initial=-1)) + 1, -1)
    found[numbers[: len(rows)]] = rows
    return found[numbers[len(rows) :]]


def _candidates(before: pa.Table, new: pa.Table, by: Sequence[str]) -> _Rows:
    """Return the existing rows whose value in every column occurs in a new row."""
    values = {name: _unsigned_zero(new[name]).unique() for name in by}

    def with_new_values(rows: _Rows, name: str) -> _Rows:
        some = before[name] if len(rows) == len(before) else before[name].take(pa.array(rows))
        is_new = pc.is_in(_one_chunk(_unsigned_zero(some)), values[name])
        found: _Rows = rows[is_new.to_numpy(False)]
        return found

    rows = np.arange(len(before))
    sample = rows[:: len(rows) // _SAMPLE + 1]
    # The column that leaves fewest rows first.
    for name in sorted(by, key=lambda each: len(with_new_values(sample, each))):
        rows = with_new_values(rows, name)
    return rows


def _codes(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    encoded = _one_chunk(_unsigned_zero(column)).dictionary_encode(null_encoding="encode")
    found: npt.NDArray[Any] = encoded.indices.to_numpy()
    return found


def _unsigned_zero(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn -0.0 into 0.0, so that both are equal."""
    return pc.add(column, 0.0) if pa.types.is_floating(column.type) else column


def _one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
