"""Counts of answers by how long they took: of all, by ten minutes, of the last day by minute."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis import _

from comparison.counts.bins import KEYS, duration_bins, duration_key
from comparison.counts.counted_window import CountedWindow
from comparison.counts.outputs import is_finite
from comparison.counts.tables import MinuteCounts
from comparison.engines.grouping import (
    BLOCK_DURATIONS,
    DURATIONS,
    LATENCY_BLOCK,
    MINUTE,
    MINUTE_FAILURES,
    Dtypes,
    fetched,
    stacked,
    typed,
)
from comparison.engines.mergeable import MergeableCounts
from comparison.pairs.columns import CALLED, FAILED, SIDES


def duration_counts(window: CountedWindow, warm_up: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the answers of each side by how long they took, and those of the step by ten minutes.

    The first `warm_up` pairs of a worker are not evidence.
    """
    every = _answered(window.of_evidence, warm_up, None)
    own = _answered(window.of_step, warm_up, LATENCY_BLOCK)
    return _summed(every, DURATIONS), _summed(own, BLOCK_DURATIONS)


def minute_counts(
    window: CountedWindow, traffic: pd.DataFrame, warm_up: int
) -> MinuteCounts | None:
    """Count durations and failures of the last 24 hours of `traffic`, by whole minutes.

    None without pairs. Both of its days are asked for, so that what is kept serves for a day.
    """
    if traffic.empty:
        return None
    before = traffic["last"].max() - timedelta(days=1)
    recent = partial(window.of_step, since=before.floor("D").to_pydatetime())
    tables = (
        _summed(_answered(recent, warm_up, MINUTE), BLOCK_DURATIONS),
        fetched(recent(_FAILURES), MINUTE_FAILURES),
    )
    first = before.value // MINUTE + 1
    durations, failures = (
        table.loc[table["block"] >= first].reset_index(drop=True) for table in tables
    )
    return MinuteCounts(durations=durations, failures=failures)


def _failures(pairs: ir.Table) -> ir.Table:
    called = pairs.filter(*(pairs[f"{side}_status"].isin(sorted(CALLED)) for side in SIDES))
    failed = {f"{side}_failed": _[f"{side}_status"].isin(sorted(FAILED)) for side in SIDES}
    return called.select(block=_.time // MINUTE, **failed)


_FAILURES: Final = MergeableCounts("failures", _failures, list(MINUTE_FAILURES))


def _answered(
    counted: Callable[[MergeableCounts], ir.Table], warm_up: int, length: int | None
) -> pd.DataFrame:
    """Count the answers by block of this length (None: all in one), side and bin of durations."""
    tables = []
    for side in SIDES:
        counts = _durations(side, warm_up, length)
        table = typed(counts.fetched(counted(counts)), {**_BINS, "n": "int64"})
        tables.append(table.assign(side=pd.array([side] * len(table), dtype="string")))
    return stacked([table[[*BLOCK_DURATIONS, "n"]] for table in tables], BLOCK_DURATIONS)


def _durations(side: str, warm_up: int, length: int | None) -> MergeableCounts:
    """Say how the answers of a side are counted.

    A pair without a number is evidence: nobody knows whether its worker had just begun.
    """

    def rows(pairs: ir.Table) -> ir.Table:
        warm = pairs.filter((_.sequence > warm_up).fill_null(True)) if warm_up else pairs
        seconds = warm[f"{side}_duration"]
        answered = warm.filter(warm[f"{side}_status"] == "ok", is_finite(seconds))
        block = ibis.literal(0, type="int64") if length is None else answered.time // length
        key = duration_key(answered[f"{side}_duration"]).cast("int64")
        # One number: engines group by it in two thirds of the time that they need for two.
        return answered.select(key=block * KEYS + key)

    return MergeableCounts(
        "durations",
        rows,
        ("block", "bin"),
        parameters=(side, warm_up, length),
        condense=_in_bins,
        counted_by=("key",),
    )


def _in_bins(counts: pa.Table) -> pa.Table:
    """Turn keys into blocks and the bins of durations: an engine would take long for that."""
    if "key" not in counts.column_names:
        return counts
    keys = counts["key"].to_numpy()
    table = {"block": keys // KEYS, "bin": duration_bins(keys % KEYS), "n": counts["n"]}
    return (
        pa.table(table)
        .group_by(["block", "bin"], use_threads=False)
        .aggregate([("n", "sum")])
        .rename_columns(["block", "bin", "n"])
    )


_BINS: Final = {"block": "int64", "bin": "int64"}


def _summed(counts: pd.DataFrame, dtypes: Dtypes) -> pd.DataFrame:
    """Add up over all other columns; sides in their order."""
    by = [name for name in dtypes if name != "side"]
    sums = pd.DataFrame(counts.groupby(["side", *by], as_index=False)["n"].sum())
    ordered = sums.assign(order=sums["side"].map(list(SIDES).index)).sort_values(["order", *by])
    return ordered[[*dtypes, "n"]].reset_index(drop=True).astype({**dtypes, "n": "int64"})
