"""Count the pairs of a step by everything but scores and durations."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import fsum
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.counts.bins import edge_bin
from comparison.counts.counted_window import CountedWindow
from comparison.counts.outputs.columns import OutputColumns, both_ok, is_finite, with_columns
from comparison.counts.outputs.rows import ByOutput
from comparison.engines.clocks import DatedPairs
from comparison.engines.grouping import (
    FEATURES,
    HOUR,
    NOISE,
    PAIRS,
    TRAFFIC,
    WORKERS,
    fetched,
    framed,
    stacked,
    summed,
)
from comparison.engines.mergeable import MergeableCounts
from comparison.engines.sources import PairSource
from comparison.engines.worker_numbers import (
    NUMBER_RANGES,
    NUMBERS,
    distinct_numbers,
    flags_by_worker,
    pairs_by_worker,
)
from comparison.pairs.accounting import possible_workers
from comparison.pairs.sides import FAILED, SIDES

_RANGES: Final = {"worker": "string", "begin": "int64", "end": "int64"}


def pair_counts(window: CountedWindow) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the pairs by rollout, active side, served side, both statuses and models.

    The second table, `traffic`, counts the pairs of the step by hour, with the first and the last
    time of each hour.
    """
    found = []
    step = window.step
    for early in (True, False) if step.since else (None,):
        hourly = framed(window.count_all(_HOURLY, early=early), {**_HOURLY_DTYPES, "n": "int64"})
        part = np.where(hourly["rollout"] == step.rollout, "step", "other")
        if early or step.rollout is None:
            part = np.full(len(hourly), "before" if early else "step")
        found.append(hourly.assign(part=pd.array(part, dtype="string")))
    every = pd.concat(found, ignore_index=True)
    return summed(every, PAIRS), summed(every.loc[every["part"] == "step"], TRAFFIC)


def _hourly(window: ir.Table) -> ir.Table:
    names = [name for name in PAIRS if name not in ("part", "rollout", "first", "last")]
    table = with_columns(window, names, "string")
    return table.select(
        *names,
        rollout=ibis.ifelse(is_finite(table.rollout), table.rollout, None),
        hour=(_.time - _.time % HOUR) // HOUR,
        first=_.time,
        last=_.time,
    )


_HOURLY_DTYPES: Final = {
    **{name: dtype for name, dtype in PAIRS.items() if name != "part"},
    "hour": "int64",
}

_HOURLY: Final = MergeableCounts(
    "pairs",
    _hourly,
    [name for name in _HOURLY_DTYPES if name not in ("first", "last")],
    {"n": "sum", "first": "least", "last": "largest"},
)


def error_counts(window: CountedWindow) -> dict[str, dict[str, int]]:
    """Count the failed calls of each side by the recorded type of the exception."""
    found = framed(
        window.count_evidence(_ERRORS), {**dict.fromkeys(_ERRORS.by, "string"), "n": "int64"}
    )
    sums = {side: found.groupby(f"{side}_error")["n"].sum() for side in SIDES}
    return {
        side: {str(name): int(n) for name, n in by_type.items()} for side, by_type in sums.items()
    }


def _failed(pairs: ir.Table) -> ir.Table:
    names = [f"{side}_error" for side in SIDES]
    held = with_columns(pairs, names, "string")
    failed = {side: held[f"{side}_status"].isin(sorted(FAILED)) for side in SIDES}
    errors = {
        f"{side}_error": ibis.ifelse(failed[side], held[f"{side}_error"], None) for side in SIDES
    }
    return held.filter(ibis.or_(*failed.values())).select(**errors)


_ERRORS: Final = MergeableCounts("errors", _failed, [f"{side}_error" for side in SIDES])


def worker_counts(
    source: PairSource, flag: str, since: datetime | None = None, until: datetime | None = None
) -> pd.DataFrame:
    """Count, per worker, the sequence numbers that exist between its first and its last one.

    It includes the workers that may have made pairs of `flag`. The numbers are of pairs of any flag
    and any time: a slow pair is numbered after one that was accepted later, and a pair with an
    impossible time is set aside, but not lost.
    """
    ranges = source.counted(NUMBER_RANGES, since, until).filter(
        _.worker.isin(_workers_of(source, flag))
    )
    known = _whole_records(source, ranges)
    if known is not None:
        return known
    undated = source.source if isinstance(source, DatedPairs) else source
    return distinct_numbers(undated.table(), ranges, blocks=undated.counted(NUMBERS))


def _whole_records(source: PairSource, ranges: ir.Table) -> pd.DataFrame | None:
    """Return the counts from the place's accounting; None if it covers other pairs.

    It can be used if the window has the first and the last pair of each worker.
    """
    if source.accounting is None or (isinstance(source, DatedPairs) and source.impossible_times):
        return None
    workers = {each.worker: each for each in source.accounting.workers}
    rows = []
    for name, begin, end in framed(ranges, _RANGES).itertuples(index=False):
        worker = workers.get(name)
        if worker is None or (worker.first, worker.last) != (begin, end):
            return None
        rows.append((name, begin, end, worker.found))
    found = pd.DataFrame(rows, columns=[*WORKERS, "n"]).astype({**WORKERS, "n": "int64"})
    return found.sort_values("worker", ignore_index=True)


def _workers_of(source: PairSource, flag: str) -> list[str]:
    """Return the workers with pairs that may have made pairs of this flag."""
    if source.accounting is not None:
        return [each.worker for each in source.accounting.of_flag(flag).workers]
    made = framed(pairs_by_worker(source), {"worker": "string", "flag": "string"})
    flags = flags_by_worker(made)
    return sorted(possible_workers(flag, flags, {}))


def noise_counts(step: ir.Table, outputs: Iterable[str], pairs: pd.DataFrame) -> pd.DataFrame:
    """Count the pairs whose sides ran the same model by whether their scores differ.

    `pairs` is the table of `pair_counts`: nearly always it shows that there are no such pairs, so
    that no query is needed.
    """
    if not pairs["primary_model"].eq(pairs["candidate_model"]).fillna(False).any():
        return stacked([], NOISE)
    names = tuple(outputs)
    if not names:
        return stacked([], NOISE)
    by_output = ByOutput(tuple(range(len(names))))
    same = both_ok(step).filter(_.primary_model == _.candidate_model)

    def rows(place: int) -> ir.Table:
        output = OutputColumns(same, names[place])
        first, second = (output.score(side) for side in SIDES)
        known, other = (is_finite(score).fill_null(False) for score in (first, second))
        differs = ibis.ifelse(known & other, first != second, known != other)
        return same.select(differs=differs, **by_output.tag(place))

    counted = by_output.count(by_output.union(rows), {"differs": NOISE["differs"]})
    tables = [table.assign(output=names[place])[[*NOISE, "n"]] for place, table in counted.items()]
    return stacked([table.astype(dict(NOISE)) for table in tables], NOISE)


def batch_counts(window: CountedWindow) -> tuple[int, int] | None:
    """Return (differing, all) of the shadows that were scored both in a batch and by themselves.

    None if no shadow was scored in a batch.
    """
    if "shadow_batch" not in window.columns:
        return None
    counts = fetched(window.count_evidence(_BATCHED), {"agrees": "boolean"})
    if counts.empty:
        return None
    known = counts[counts["agrees"].notna()]
    differ = ~known["agrees"].astype(bool)
    return int(known.loc[differ, "n"].sum()), int(known["n"].sum())


def _batched(pairs: ir.Table) -> ir.Table:
    known = with_columns(pairs, ["batch_agrees"], "boolean").filter(_.shadow_batch > 1)
    return known.select(agrees=_.batch_agrees)


_BATCHED: Final = MergeableCounts("batched", _batched, ("agrees",))


def sampled_counts(window: CountedWindow) -> tuple[int, int, float, float] | None:
    """Return (scored, all, sum of shares, sum of squared shares) of the pairs under a budget.

    None without such pairs.
    """
    if "shadow_share" not in window.columns:
        return None
    counts = framed(window.count_evidence(_SAMPLED), _SAMPLED_DTYPES)
    if counts.empty:
        return None
    shares, n = counts["share"].tolist(), counts["n"].tolist()
    return (
        int(counts["scored"].sum()),
        int(counts["n"].sum()),
        fsum(share * each for share, each in zip(shares, n, strict=True)),
        fsum(share * share * each for share, each in zip(shares, n, strict=True)),
    )


def _sampled(pairs: ir.Table) -> ir.Table:
    sampled = pairs.filter(is_finite(_.shadow_share))
    skipped = ((_.primary_status == "skipped") | (_.candidate_status == "skipped")).fill_null(False)
    return sampled.select(share=_.shadow_share, scored=ibis.ifelse(skipped, 0, 1))


_SAMPLED: Final = MergeableCounts("sampled", _sampled, ("share",), {"n": "sum", "scored": "sum"})
_SAMPLED_DTYPES: Final = {"share": "float64", "n": "int64", "scored": "int64"}


def feature_counts(window: CountedWindow, edges: Mapping[str, tuple[float, ...]]) -> pd.DataFrame:
    """Count the pairs by the bin of each feature that has edges; -1 where it is missing."""
    tables = [
        fetched(window.count_evidence(_binned(feature, bounds)), FEATURES).assign(feature=feature)
        for feature, bounds in edges.items()
    ]
    return stacked([table.astype(dict(FEATURES)) for table in tables], FEATURES)


def _binned(feature: str, bounds: tuple[float, ...]) -> MergeableCounts:
    name = f"feature.{feature}"

    def rows(pairs: ir.Table) -> ir.Table:
        values = with_columns(pairs, [name], "float64")
        known = is_finite(values[name]).fill_null(False)
        return values.select(bin=ibis.ifelse(known, edge_bin(values[name], bounds), -1))

    return MergeableCounts("feature", rows, ("bin",), parameters=(feature, bounds))
