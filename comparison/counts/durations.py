"""Count answers by duration: over the window, by ten minutes, and of the last day by minute."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis import _

from comparison.counts.bins import KEYS, duration_bins, duration_key, duration_keys
from comparison.counts.counted_window import CountedWindow
from comparison.counts.outputs.columns import is_finite
from comparison.counts.outputs.rows import union_of
from comparison.counts.tables import MinuteCounts
from comparison.engines.arrays import ArrayRows, Arrays, group, truths
from comparison.engines.grouping import (
    BLOCK_DURATIONS,
    DURATIONS,
    LATENCY_BLOCK,
    MINUTE,
    MINUTE_FAILURES,
    Dtypes,
    fetched,
)
from comparison.engines.mergeable import MergeableCounts
from comparison.pairs.sides import CALLED, FAILED, SIDES


def duration_counts(window: CountedWindow, warm_up: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the answers of each side by duration, and those of the step also by ten minutes.

    The first `warm_up` pairs of a worker are left out.
    """
    own = _answered(window.count_step, warm_up, LATENCY_BLOCK)
    every = own if window.is_step else _answered(window.count_evidence, warm_up, None)
    return _framed(_over_all_blocks(every), DURATIONS), _framed(own, BLOCK_DURATIONS)


def minute_counts(
    window: CountedWindow, traffic: pd.DataFrame, warm_up: int
) -> MinuteCounts | None:
    """Count durations and failures of the last 24 hours of `traffic`, by whole minutes.

    None without pairs. Both calendar days are counted, so that the kept counts serve for a day.
    """
    if traffic.empty:
        return None
    before = traffic["last"].max() - timedelta(days=1)
    first = before.value // MINUTE + 1
    recent = partial(window.count_step, since=before.floor("D").to_pydatetime())
    durations = _answered(recent, warm_up, MINUTE)
    late = durations["block"] >= first
    durations = {name: column[late] for name, column in durations.items()}
    failures = fetched(recent(_FAILURES), MINUTE_FAILURES)
    failures = failures.loc[failures["block"] >= first].reset_index(drop=True)
    return MinuteCounts(durations=_framed(durations, BLOCK_DURATIONS), failures=failures)


def _failures(pairs: ir.Table) -> ir.Table:
    called = pairs.filter(*(pairs[f"{side}_status"].isin(sorted(CALLED)) for side in SIDES))
    failed = {f"{side}_failed": _[f"{side}_status"].isin(sorted(FAILED)) for side in SIDES}
    return called.select(block=_.time // MINUTE, **failed)


_FAILURES: Final = MergeableCounts("failures", _failures, list(MINUTE_FAILURES))


def _answered(
    counted: Callable[[MergeableCounts], ir.Table], warm_up: int, length: int | None
) -> Arrays:
    """Count the answers by block of this length, side and bin of durations.

    With `length` None all answers are in one block. Sides are numbers, the places in SIDES.
    """
    counts = _durations(warm_up, length)
    table = counts.fetched(counted(counts))
    return {name: table[name].to_numpy() for name in (*_KEY, "n")}


_KEY: Final = ("block", "side", "bin")


def _durations(warm_up: int, length: int | None) -> MergeableCounts:
    """Return the definition of the counts of `_answered`.

    A pair without a sequence number counts: it is unknown whether its worker had just started.
    """

    def warm(pairs: ir.Table) -> ir.Table:
        return pairs.filter((_.sequence > warm_up).fill_null(True)) if warm_up else pairs

    def rows(pairs: ir.Table) -> ir.Table:
        return union_of([_keys(warm(pairs), side, length) for side in SIDES])

    def select(pairs: ir.Table) -> ir.Table:
        answered = {f"{side}_ok": _[f"{side}_status"] == "ok" for side in SIDES}
        return warm(pairs).select("time", *(f"{side}_duration" for side in SIDES), **answered)

    return MergeableCounts(
        "durations",
        rows,
        _KEY,
        parameters=(warm_up, length),
        condense=_in_bins,
        counted_by=("key",),
        arrays=ArrayRows(select, partial(_binned, length=length)),
    )


def _keys(pairs: ir.Table, side: str, length: int | None) -> ir.Table:
    seconds = pairs[f"{side}_duration"]
    answered = pairs.filter(pairs[f"{side}_status"] == "ok", is_finite(seconds))
    time = answered.time
    block = ibis.literal(0, type="int64") if length is None else (time - time % length) // length
    key = duration_key(answered[f"{side}_duration"]).cast("int64")
    # One number: engines group by it in two thirds of the time that three columns take.
    return answered.select(key=(block * len(SIDES) + SIDES.index(side)) * KEYS + key)


def _in_bins(counts: pa.Table) -> pa.Table:
    """Turn keys into blocks, sides and bins of durations; in an engine this would be slow."""
    if "key" not in counts.column_names:
        return counts
    blocks, keys = np.divmod(counts["key"].to_numpy(), KEYS)
    blocks, sides = np.divmod(blocks, len(SIDES))
    held = {"block": blocks, "side": sides, "bin": duration_bins(keys), "n": counts["n"].to_numpy()}
    return group(held, _KEY, {"n": "sum"})


def _binned(batch: pa.RecordBatch, *, length: int | None) -> Arrays:
    """Do with numpy arrays what `_keys` and `_in_bins` do."""
    times = batch["time"].to_numpy()
    blocks = np.zeros_like(times) if length is None else times // length
    held = []
    for number, side in enumerate(SIDES):
        seconds = batch[f"{side}_duration"].to_numpy(zero_copy_only=False)
        answered = (truths(batch[f"{side}_ok"]) == 1) & np.isfinite(seconds)
        bins = _BIN_OF_KEY[duration_keys(seconds[answered])]
        held.append((blocks[answered], np.full(len(bins), number), bins))
    return dict(zip(_KEY, map(np.concatenate, zip(*held, strict=True)), strict=True))


_BIN_OF_KEY: Final = duration_bins(np.arange(KEYS))


def _over_all_blocks(counts: Arrays) -> Arrays:
    """Sum counts over all blocks."""
    sums = group(counts, ("side", "bin"), {"n": "sum"})
    return {name: sums[name].to_numpy() for name in sums.column_names}


def _framed(counts: Arrays, dtypes: Dtypes) -> pd.DataFrame:
    """Convert counts to a frame, sorted by side (in the order of SIDES), then by other columns."""
    by = ("side", *(name for name in dtypes if name != "side"))
    order = np.lexsort([counts[name] for name in reversed(by)])
    columns = {name: counts[name][order] for name in (*dtypes, "n")}
    sides = pa.array(SIDES).take(pa.array(columns["side"]))
    return pd.DataFrame({**columns, "side": pd.array(sides, dtype="string")})
