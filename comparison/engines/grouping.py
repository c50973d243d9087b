"""Counts of an engine's rows by columns, as a frame with known dtypes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from comparison.engines.embedded import table_behind

Dtypes = Mapping[str, str]

HOUR: Final = 3_600_000_000_000
"""Nanoseconds."""

LATENCY_BLOCK: Final = HOUR // 6
"""Ten minutes: how long calls that stall together are taken to be one event."""

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
"""Columns of the tables of `comparison.counts.tables`, each but for its count `n`."""

_BOUNDS: Final = {"first": "min", "last": "max"}


def count_by(table: ir.Table, **by: Any) -> ir.Table:
    """Return one row per combination of the columns `by` that occurs, and its count `n`."""
    return table.group_by(**by).agg(n=ibis._.count())


def row_count(rows: ir.Table) -> int:
    """Run a query of how many rows there are."""
    return int(rows.count().to_pyarrow().as_py())


def fetched(counts: ir.Table, dtypes: Dtypes) -> pd.DataFrame:
    """Run a query of counts; its rows come in order of their columns, missing values last."""
    frame = framed(counts, {**dtypes, "n": "int64"})
    return frame.sort_values(list(dtypes), kind="stable", ignore_index=True)


def framed(rows: ir.Table, dtypes: Dtypes) -> pd.DataFrame:
    """Run a query; see `typed`."""
    return typed(fetched_table(rows), dtypes)


def fetched_table(rows: ir.Table) -> pa.Table:
    """Run a query, if there is anything to compute; truths are numbers."""
    held = table_behind(rows)
    return in_numbers(rows).to_pyarrow() if held is None else held


def in_numbers(rows: ir.Table) -> ir.Table:
    """Return rows whose truths are numbers.

    ClickHouse has truths as whole numbers, and ibis then fails to take them for truths.
    """
    truths = [name for name, kind in rows.schema().items() if kind.is_boolean()]
    return rows.mutate(**{name: ibis._[name].cast("int8") for name in truths}) if truths else rows


def typed(found: pa.Table, dtypes: Dtypes) -> pd.DataFrame:
    """Return rows that a query found as a frame; columns that they have not are all missing."""
    columns = {
        name: _typed(found[name].to_pandas(integer_object_nulls=True), dtype)
        if name in found.column_names
        else _typed(pd.Series([None] * len(found), dtype="object"), dtype)
        for name, dtype in dtypes.items()
    }
    return pd.DataFrame(columns)


def stacked(tables: Sequence[pd.DataFrame], dtypes: Dtypes) -> pd.DataFrame:
    """Put tables of counts below each other; none at all make an empty one."""
    if not tables:
        return empty(dtypes)
    return pd.concat(tables, ignore_index=True)


def summed(counts: pd.DataFrame, dtypes: Dtypes) -> pd.DataFrame:
    """Add up counts over all columns that are not wanted; `first` and `last` are bounds."""
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
    if dtype == TIME:  # engines hand over nanoseconds since 1970
        return pd.to_datetime(values.astype("int64"), utc=True, unit="ns")
    held = values.astype("Int8") if dtype == "boolean" else values
    return held.astype(pd.api.types.pandas_dtype(dtype))
