"""Count an engine's rows by columns, and return pandas frames with fixed dtypes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from comparison.engines.embedded import table_in_memory

Dtypes = Mapping[str, str]

HOUR: Final = 3_600_000_000_000
"""Nanoseconds."""

LATENCY_BLOCK: Final = HOUR // 6
"""Ten minutes: slow calls within a block are taken for one event."""

MINUTE: Final = HOUR // 60

TIME: Final = "datetime64[ns, UTC]"

SCORES: Final[Dtypes] = {
    "side": "string",
    "score": "float64",
    "primary_alarm": "boolean",
    "label": "boolean",
    "low": "float64",
    "high": "float64",
}
JOINT: Final[Dtypes] = {
    "primary_score": "float64",
    "candidate_score": "float64",
    "label": "boolean",
}
ALARMS: Final[Dtypes] = {
    "period": TIME,
    "primary_alarm": "boolean",
    "candidate_alarm": "boolean",
    "label": "boolean",
}
SEGMENTS: Final[Dtypes] = {
    "segment": "string",
    "value": "string",
    "primary_alarm": "boolean",
    "candidate_alarm": "boolean",
    "label": "boolean",
}
CELLS: Final[Dtypes] = {"primary_alarm": "boolean", "candidate_alarm": "boolean"}
HOUR_CELLS: Final[Dtypes] = {"period": TIME, **CELLS}
SEGMENT_CELLS: Final[Dtypes] = {"segment": "string", "value": "string", **CELLS}
UNIT_FAILURES: Final[Dtypes] = {
    "called": "int64",
    "primary_failed": "int64",
    "candidate_failed": "int64",
    "active": "int64",
    "fallbacks": "int64",
}
UNIT_POSITIVES: Final[Dtypes] = {
    "old": "boolean",
    "positives": "int64",
    "primary": "int64",
    "candidate": "int64",
}
FLIPS: Final[Dtypes] = {
    "request_id": "string",
    "time": TIME,
    "primary_score": "float64",
    "candidate_score": "float64",
    "candidate_alarm": "boolean",
    "label": "boolean",
}
PAIRS: Final[Dtypes] = {
    "part": "string",
    "rollout": "float64",
    "active": "string",
    "served": "string",
    "fallback": "boolean",
    "primary_status": "string",
    "candidate_status": "string",
    "primary_model": "string",
    "candidate_model": "string",
    "first": TIME,
    "last": TIME,
}
WORKERS: Final[Dtypes] = {"worker": "string", "first": "int64", "last": "int64"}
DURATIONS: Final[Dtypes] = {"side": "string", "bin": "int64"}
BLOCK_DURATIONS: Final[Dtypes] = {"block": "int64", **DURATIONS}
MINUTE_FAILURES: Final[Dtypes] = {
    "block": "int64",
    "primary_failed": "boolean",
    "candidate_failed": "boolean",
}
TRAFFIC: Final[Dtypes] = {"hour": "int64", "first": TIME, "last": TIME}
NOISE: Final[Dtypes] = {"output": "string", "differs": "boolean"}
COVERAGE: Final[Dtypes] = {
    "served": "string",
    "primary_alarm": "boolean",
    "candidate_alarm": "boolean",
    "old": "boolean",
    "label": "boolean",
}
FEATURES: Final[Dtypes] = {"feature": "string", "bin": "int64"}
"""Columns of the tables of `comparison.counts.tables`, without their count `n`."""

_BOUNDS: Final = {"first": "min", "last": "max"}


def count_by(table: ir.Table, **by: Any) -> ir.Table:
    """Return a row for each occurring combination of the columns `by`, with its count `n`."""
    return table.group_by(**by).agg(n=ibis._.count())


def row_count(rows: ir.Table) -> int:
    """Run a query for the number of rows."""
    return int(rows.count().to_pyarrow().as_py())


def fetched(counts: ir.Table, dtypes: Dtypes) -> pd.DataFrame:
    """Run a query of counts; return them sorted by their columns, missing values last."""
    frame = framed(counts, {**dtypes, "n": "int64"})
    return frame.sort_values(list(dtypes), kind="stable", ignore_index=True)


def framed(rows: ir.Table, dtypes: Dtypes) -> pd.DataFrame:
    """Run a query; return its rows as a frame with these dtypes, see `typed`."""
    return typed(fetched_table(rows), dtypes)


def fetched_table(rows: ir.Table) -> pa.Table:
    """Run a query, unless its table is in memory already; booleans become integers."""
    held = table_in_memory(rows)
    return booleans_as_integers(rows).to_pyarrow() if held is None else held


def booleans_as_integers(rows: ir.Table) -> ir.Table:
    """Cast boolean columns to integers.

    ClickHouse returns booleans as whole numbers, and ibis fails to convert them to booleans.
    """
    booleans = [name for name, kind in rows.schema().items() if kind.is_boolean()]
    return (
        rows.mutate(**{name: ibis._[name].cast("int8") for name in booleans}) if booleans else rows
    )


def typed(found: pa.Table, dtypes: Dtypes) -> pd.DataFrame:
    """Convert the result of a query to a frame; a column that it lacks is all missing."""
    columns = {
        name: _typed(found[name].to_pandas(integer_object_nulls=True), dtype)
        if name in found.column_names
        else _typed(pd.Series([None] * len(found), dtype="object"), dtype)
        for name, dtype in dtypes.items()
    }
    return pd.DataFrame(columns)


def stacked(tables: Sequence[pd.DataFrame], dtypes: Dtypes) -> pd.DataFrame:
    """Concatenate tables of counts; without any, return an empty one."""
    if not tables:
        return empty(dtypes)
    return pd.concat(tables, ignore_index=True)


def summed(counts: pd.DataFrame, dtypes: Dtypes) -> pd.DataFrame:
    """Sum counts by the columns of `dtypes`; `first` is the minimum, `last` the maximum."""
    bounds = {name: how for name, how in _BOUNDS.items() if name in dtypes}
    by = [name for name in dtypes if name not in bounds]
    sums = counts.groupby(by, as_index=False, dropna=False).agg({**bounds, "n": "sum"})
    ordered = sums.sort_values(list(dtypes), kind="stable", ignore_index=True)
    return pd.DataFrame(ordered[[*dtypes, "n"]]).astype({**dtypes, "n": "int64"})


def empty(dtypes: Dtypes) -> pd.DataFrame:
    """Return a table of counts without rows."""
    return pd.DataFrame(
        {name: pd.Series([], dtype=dtype) for name, dtype in {**dtypes, "n": "int64"}.items()}
    )


def _typed(values: "pd.Series[Any]", dtype: str) -> "pd.Series[Any]":
    if dtype == TIME:  # engines return nanoseconds since 1970
        return pd.to_datetime(values.astype("int64"), utc=True, unit="ns")
    held = values.astype("Int8") if dtype == "boolean" else values
    return held.astype(pd.api.types.pandas_dtype(dtype))
