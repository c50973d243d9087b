"""The choice of one label for each request with several."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from comparison.engines.embedded import connect, register_table
from comparison.engines.id_hashes import IdHashes, hash_of
from comparison.errors import LabelsUnreadableError
from comparison.labels.digest import digest_of
from comparison.labels.files import ID, TIME, LabelFile, is_label


def one_per_request(
    files: Sequence[LabelFile],
    table: pa.Table,
    places: npt.NDArray[np.int64] | None = None,
) -> tuple[pa.Table, int, IdHashes | None, str]:
    """Return one row per request id, the number of ids with differing labels, hashes, and a digest.

    The hashes are those of all ids; None if some ids had several rows. The digest is that of all
    rows.

    `places` are the positions of the rows among all rows of the files; None: `table` has all rows.
    Raises LabelsUnreadableError if it is not known which label was given last.
    """
    several, hashes, digest = _several(table)
    if not len(several):
        return table, 0, hashes, digest
    is_several = pc.is_in(table[ID], value_set=several)
    rows = table.filter(is_several).to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
    positions = np.flatnonzero(is_several.to_numpy())
    rows["file"], rows["row"] = _origins(files, positions if places is None else places[positions])
    last, differing = last_labels(files, rows, table.schema)
    once = pa.concat_tables([table.filter(pc.invert(is_several)), last])
    return once, differing, None, digest


def last_labels(
    files: Sequence[LabelFile], rows: pd.DataFrame, schema: pa.Schema
) -> tuple[pa.Table, int]:
    """Return one row for each request id, and the number of ids with differing labels.

    `rows` have the columns of `schema`, and their `file` and `row`, each from 0, in order. Raises
    LabelsUnreadableError as `one_per_request` does.
    """
    first = rows.groupby(ID, sort=False).first()
    differing: set[str] = set()
    for column in filter(is_label, schema.names):
        known = rows.loc[rows[column].notna()]
        numbers = known.groupby(ID)[column].nunique()
        if len(requests := numbers.index[numbers > 1]):
            differing.update(requests)
            last = _last(files, known.loc[known[ID].isin(requests)], column)
            first.loc[last.index, column] = last
    if TIME in rows:
        first[TIME] = rows.groupby(ID)[TIME].max()
    found = first.reset_index()[schema.names]
    return pa.Table.from_pandas(found, schema, preserve_index=False), len(differing)


def _several(labels: pa.Table) -> tuple[pa.Array, IdHashes, str]:
    """Return the ids that occur more than once, the hashes of all ids, and the digest.

    Repeated ids are found by hashes: sorting these takes a tenth of the memory of sorting texts.
    """
    engine = connect()
    table = register_table(engine, "labels", labels)
    hashes, _wrong, digest = digest_of(engine, "FROM labels", labels.column_names)
    if not len(hashes.repeated):
        return pa.array([], pa.string()), hashes, digest
    again = register_table(engine, "again", pa.table({"hash": hashes.repeated}))
    suspects = table.semi_join(again, hash_of(table[ID]) == again["hash"])
    counts = suspects.group_by(ID).agg(n=_.count()).filter(_.n > 1)
    return counts.select(ID).to_pyarrow()[ID].combine_chunks(), hashes, digest


def _origins(
    files: Sequence[LabelFile], places: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return file and row, each from 0, of positions among all rows of the files."""
    ends = np.cumsum([len(file) for file in files])
    file = np.searchsorted(ends, places, side="right")
    return file, places - np.concatenate([[0], ends])[file]


def _last(files: Sequence[LabelFile], rows: pd.DataFrame, column: str) -> "pd.Series[Any]":
    """Return the last label of each request by time. Raises LabelsUnreadableError."""
    times = rows[TIME] if TIME in rows else pd.Series(pd.NaT, rows.index)
    is_open = times.isna()
    last = rows.loc[times == times.groupby(rows[ID]).transform("max")]
    labels = last.groupby(ID)[column].nunique()
    wrong = [*rows.loc[is_open, ID], *labels.index[labels > 1]]
    if wrong:
        request = min(wrong)
        is_timed = request not in set(rows.loc[is_open, ID])
        of = last if is_timed else rows
        raise _undecided(files, of.loc[of[ID] == request], column, is_timed=is_timed)
    return last.drop_duplicates(ID).set_index(ID)[column]


def _undecided(
    files: Sequence[LabelFile], rows: pd.DataFrame, column: str, *, is_timed: bool
) -> LabelsUnreadableError:
    """Return the error for a request whose last label is not known."""
    [(_place, first), (_place, second), *_more] = rows.drop_duplicates(column).iterrows()
    file, other = files[int(second["file"])], files[int(first["file"])]
    where = other.place(int(first["row"])) + ("" if other is file else f" of {other.name}")
    others = f"{first[ID]!r} has another label in {where}"
    if is_timed:
        return file.error(int(second["row"]), TIME, f"{others}, given at the same time")
    problem = f"{others}; a column {TIME} would say which is the last"
    return file.error(int(second["row"]), column, problem)
