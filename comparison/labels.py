"""Read the labels that come late: what each request turned out to be.

A file of labels is CSV with a heading, or Parquet. Columns: `request_id`, `label` (true or false,
1 or 0) and, if wanted, `labelled_at` (ISO 8601; UTC unless it names a zone). Others are ignored.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from comparison.engines.embedded import connect, shown
from comparison.engines.tables import nanoseconds
from comparison.label_file import LabelFile, open_labels


@dataclass(frozen=True, slots=True)
class Labels:
    """Hold one label per request id: columns `request_id` (string) and `label` (boolean)."""

    name: str
    frame: pd.DataFrame
    contradicted: int = 0
    """Request ids that had labels that differ; the last one is taken."""

    def table(self) -> ir.Table:
        """Return the labels to an engine; the id is called `label_request_id`."""
        ids = pa.array(self.frame["request_id"].astype("string"), from_pandas=True)
        truths = pa.array(self.frame["label"].astype("boolean"), from_pandas=True)
        return ibis.memtable(pa.table({"label_request_id": ids, "label": truths}))


def load_labels(path: str | Path, until: datetime | None = None) -> Labels:
    """Read a file of labels; with `until`, without those that were given then or later.

    A label without a time counts as given before. Raises LabelsUnreadableError, which names the
    line (CSV) or row (Parquet, from 1) and the column of what is wrong.
    """
    file = open_labels(Path(path))
    columns = {"request_id": file.ids(), "label": file.labels()}
    times = file.times()
    if times is not None:
        columns["time"] = times
    table = pa.table(columns).append_column("row", pa.array(np.arange(len(file))))
    if until is not None and times is not None:
        limit = pa.scalar(nanoseconds(until), pa.int64()).cast(times.type)
        table = table.filter(pc.fill_null(pc.less(table["time"], limit), True))
    kept, contradicted = _one_each(file, table)
    frame = kept.select(["request_id", "label"]).to_pandas(types_mapper=_dtype)
    return Labels(str(path), frame, contradicted)


def _dtype(kind: pa.DataType) -> Any:
    return pd.StringDtype("pyarrow") if pa.types.is_string(kind) else pd.BooleanDtype()


def _one_each(file: LabelFile, table: pa.Table) -> tuple[pa.Table, int]:
    """Return one row per request id, and of how many ids the labels differed."""
    several = _several(table["request_id"])
    if not len(several):
        return table, 0
    among = pc.is_in(table["request_id"], value_set=several)
    rows = table.filter(among).to_pandas()
    first = rows.groupby("request_id")["label"].transform("first")
    differing = set(rows.loc[rows["label"] != first, "request_id"])
    differ = rows["request_id"].isin(differing)
    kept = [*rows.loc[~differ].drop_duplicates("request_id")["row"]]
    kept += [_last(file, group) for _id, group in rows.loc[differ].groupby("request_id")]
    chosen = pc.is_in(table["row"], value_set=pa.array(kept, pa.int64()))
    return table.filter(pc.or_(pc.invert(among), chosen)), len(differing)


def _several(ids: pa.ChunkedArray) -> pa.Array:
    """Return the ids that occur more than once; sorting hashes takes a tenth of the memory."""
    table = shown(connect(in_order=True), "labels", pa.table({"id": ids}))
    keys = table.select(key=_.id.hash()).to_pyarrow()["key"].to_numpy()
    order = np.sort(keys)
    suspects = ids.filter(pa.array(np.isin(keys, order[1:][order[1:] == order[:-1]])))
    counts = pc.value_counts(suspects)
    found: pa.Array = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return found


def _last(file: LabelFile, rows: pd.DataFrame) -> int:
    """Return the row of the label that was given last. Raises LabelsUnreadableError."""
    [(_place, first), (_place, second), *_more] = rows.drop_duplicates("label").iterrows()
    others = f"{first['request_id']!r} has another label in {file.place(int(first['row']))}"
    wrong = int(second["row"])
    if "time" not in rows or rows["time"].isna().any():
        raise file.error(
            wrong, "label", f"{others}; a column labelled_at would say which is the last"
        )
    last = rows.loc[rows["time"] == rows["time"].max()]
    if last["label"].nunique() > 1:
        raise file.error(wrong, "labelled_at", f"{others}, given at the same time")
    return int(last["row"].iloc[0])
