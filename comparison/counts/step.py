"""Counts of the pairs of a step by everything but their scores."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.bins import KEYS, duration_bins, duration_key, edge_bin
from comparison.counts.output_rows import ByOutput
from comparison.counts.outputs import OutputColumns, both_ok, is_finite, with_columns
from comparison.counts.tables import MinuteCounts
from comparison.engines.clocks import DatedPairs
from comparison.engines.grouping import (
    BLOCK_DURATIONS,
    DURATIONS,
    FEATURES,
    HOUR,
    LATENCY_BLOCK,
    MINUTE,
    MINUTE_FAILURES,
    NOISE,
    PAIRS,
    TRAFFIC,
    WORKERS,
    Dtypes,
    count_by,
    fetched,
    framed,
    stacked,
)
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.engines.worker_numbers import distinct_numbers, flags_by_worker, numbered
from comparison.pairs.accounting import may_have_made
from comparison.pairs.columns import CALLED, FAILED, SIDES

_SPANS: Final = {"worker": "string", "begin": "int64", "end": "int64"}

_OTHER: Final = -1
"""In the place of a block: the pair is not of the step."""


@dataclass(frozen=True, slots=True)
class StepPairs:
    """Say which pairs of a window are those of the step: from `since` on, made at `rollout`."""

    rollout: float | None
    since: datetime | None

    def has(self) -> Any:
        """Say whether a pair is one of the step."""
        here = self._is_at_rollout()
        return here if self.since is None else here & ~self._is_before()

    def part(self) -> Any:
        """Return the part of the window that a pair belongs to."""
        inside = ibis.ifelse(self._is_at_rollout(), "step", "other")
        return inside if self.since is None else ibis.ifelse(self._is_before(), "before", inside)

    @property
    def are_some(self) -> bool:
        """Say whether not all pairs of the window are those of the step."""
        return self.rollout is not None or self.since is not None

    def of(self, window: ir.Table) -> ir.Table:
        """Keep those of the step."""
        return window.filter(self.has())

    def _is_at_rollout(self) -> Any:
        if self.rollout is None:
            return ibis.literal(True)
        return (_.rollout == float(self.rollout)).fill_null(False)

    def _is_before(self) -> Any:
        assert self.since is not None  # noqa: S101 - for the type checker
        return _.time < nanoseconds(self.since)


def pair_counts(window: ir.Table, step: "StepPairs") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the pairs by what the flag said, who answered, and how both sides fared.

    Those of the step are also counted by hour, with the first and the last of each: `traffic`.
    """
    by = [name for name in PAIRS if name not in ("first", "last")]
    table = with_columns(window, [name for name in by if name != "part"], "string")
    counts = table.select(
        "time",
        *(name for name in by if name not in ("part", "rollout")),
        part=step.part(),
        rollout=ibis.ifelse(is_finite(table.rollout), table.rollout, None),
    ).group_by(*by, hour=(_.time - _.time % HOUR) // HOUR)
    hourly = fetched(
        counts.agg(first=_.time.min(), last=_.time.max(), n=_.count()), {**PAIRS, "hour": "int64"}
    )
    return _added(hourly, PAIRS), _added(hourly.loc[hourly["part"] == "step"], TRAFFIC)


def _added(hourly: pd.DataFrame, dtypes: Dtypes) -> pd.DataFrame:
    """Add up over all columns that are not wanted."""
    by = [name for name in dtypes if name not in ("first", "last")]
    sums = hourly.groupby(by, as_index=False, dropna=False).agg(
        {"first": "min", "last": "max", "n": "sum"}
    )
    ordered = sums.sort_values(list(dtypes), kind="stable", ignore_index=True)
    return pd.DataFrame(ordered[[*dtypes, "n"]]).astype({**dtypes, "n": "int64"})


def worker_counts(
    source: PairSource, window: ir.Table, flag: str, *, windowed: bool
) -> pd.DataFrame:
    """Count, per worker, which of the numbers between the first and the last are there.

    Workers are those that may have made pairs of `flag`. The numbers are those of pairs of any
    flag, and of any time: a pair that took long is numbered after one that was accepted later, and
    one whose time cannot be is set aside, and not lost.
    """
    own = numbered(window.filter(_.worker.isin(_workers_of(source, flag))))
    if not windowed:
        return distinct_numbers(own)
    spans = own.group_by("worker").agg(begin=_.sequence.min(), end=_.sequence.max())
    known = _whole_records(source, spans)
    every = source.source if isinstance(source, DatedPairs) else source
    return distinct_numbers(numbered(every.table()), spans) if known is None else known


def _whole_records(source: PairSource, spans: ir.Table) -> pd.DataFrame | None:
    """Return the counts where the window has the first and the last pair of each worker.

    They have been counted then, with all others, for the account of the place.
    """
    if source.accounting is None or (isinstance(source, DatedPairs) and source.set_aside):
        return None
    workers = {each.worker: each for each in source.accounting.workers}
    rows = []
    for name, begin, end in framed(spans, _SPANS).itertuples(index=False):
        worker = workers.get(name)
        if worker is None or (worker.first, worker.last) != (begin, end):
            return None
        rows.append((name, begin, end, worker.found))
    found = pd.DataFrame(rows, columns=[*WORKERS, "n"]).astype({**WORKERS, "n": "int64"})
    return found.sort_values("worker", ignore_index=True)


def _workers_of(source: PairSource, flag: str) -> list[str]:
    """Return the workers that may have made pairs of a flag, of those that made any."""
    if source.accounting is not None:
        return [each.worker for each in source.accounting.of_flag(flag).workers]
    rows = source.table().select("worker", "flag").distinct()
    flags = flags_by_worker(framed(rows, {"worker": "string", "flag": "string"}))
    return sorted(may_have_made(flag, flags, {}))


def duration_counts(
    pairs: ir.Table, step: StepPairs, warm_up: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the answers of each side by how long they took, and those of the step by ten minutes.

    The first `warm_up` pairs of a worker are not evidence.
    """
    block = _.time // LATENCY_BLOCK
    if step.are_some:
        block = ibis.ifelse(step.has(), block, _OTHER)
    counted = _by_block(pairs, warm_up, block)
    own = counted.loc[counted["block"] != _OTHER]
    return _summed(counted, DURATIONS), _summed(own, BLOCK_DURATIONS)


def minute_counts(step: ir.Table, traffic: pd.DataFrame, warm_up: int) -> MinuteCounts | None:
    """Count durations and failures of the last day of `traffic` by minute; None without pairs."""
    if traffic.empty:
        return None
    last = traffic["last"].max().value
    recent = step.filter(_.time > last - 24 * HOUR)
    called = recent.filter(*(recent[f"{side}_status"].isin(sorted(CALLED)) for side in SIDES))
    failed = {f"{side}_failed": _[f"{side}_status"].isin(sorted(FAILED)) for side in SIDES}
    return MinuteCounts(
        durations=_summed(_by_block(recent, warm_up, _.time // MINUTE), BLOCK_DURATIONS),
        failures=fetched(count_by(called, block=_.time // MINUTE, **failed), MINUTE_FAILURES),
    )


def _by_block(pairs: ir.Table, warm_up: int, block: Any) -> pd.DataFrame:
    """Count the answers by block, side and bin of their durations.

    A pair without a number is evidence: nobody knows whether its worker had just begun.
    """
    warm = pairs.filter((_.sequence > warm_up).fill_null(True)) if warm_up else pairs
    tables = []
    for side in SIDES:
        seconds = warm[f"{side}_duration"]
        answered = warm.filter(warm[f"{side}_status"] == "ok", is_finite(seconds))
        key = duration_key(_[f"{side}_duration"])
        # One number: engines group by it in two thirds of the time that they need for two.
        counts = framed(
            count_by(answered, key=block * KEYS + key.cast("int64")), {"key": "int64", "n": "int64"}
        )
        bins = duration_bins(counts["key"] % KEYS)
        counts = counts.assign(side=side, block=counts["key"] // KEYS, bin=bins)
        counts = counts[["block", "side", "bin", "n"]]
        tables.append(counts.astype(dict(BLOCK_DURATIONS)))
    return stacked(tables, BLOCK_DURATIONS)


def _summed(counts: pd.DataFrame, dtypes: Dtypes) -> pd.DataFrame:
    """Add up over all other columns; sides in their order."""
    by = [name for name in dtypes if name != "side"]
    sums = pd.DataFrame(counts.groupby(["side", *by], as_index=False)["n"].sum())
    ordered = sums.assign(order=sums["side"].map(list(SIDES).index)).sort_values(["order", *by])
    return ordered[[*dtypes, "n"]].reset_index(drop=True).astype({**dtypes, "n": "int64"})


def noise_counts(step: ir.Table, outputs: Iterable[str], pairs: pd.DataFrame) -> pd.DataFrame:
    """Count the pairs whose sides ran the same model by whether their scores differ.

    `pairs` are those of `pair_counts`: nearly always, they say that there are none.
    """
    if not pairs["primary_model"].eq(pairs["candidate_model"]).fillna(False).any():
        return stacked([], NOISE)
    names = tuple(outputs)
    if not names:
        return stacked([], NOISE)
    every = ByOutput(tuple(range(len(names))))
    same = both_ok(step).filter(_.primary_model == _.candidate_model)

    def rows(place: int) -> ir.Table:
        output = OutputColumns(same, names[place])
        first, second = (output.score(side) for side in SIDES)
        known, other = (is_finite(score).fill_null(False) for score in (first, second))
        differs = ibis.ifelse(known & other, first != second, known != other)
        return same.select(differs=differs, **every.tag(place))

    counted = every.count(every.union(rows), {"differs": NOISE["differs"]})
    tables = [table.assign(output=names[place])[[*NOISE, "n"]] for place, table in counted.items()]
    return stacked([table.astype(dict(NOISE)) for table in tables], NOISE)


def batch_counts(step: ir.Table) -> tuple[int, int] | None:
    """Return (differing, all) of the shadows that were scored in a batch and by themselves.

    None where none was scored in a batch.
    """
    if "shadow_batch" not in step.columns:
        return None
    batched = with_columns(step, ["batch_agrees"], "boolean").filter(_.shadow_batch > 1)
    counts = fetched(count_by(batched, agrees=_.batch_agrees), {"agrees": "boolean"})
    if counts.empty:
        return None
    known = counts[counts["agrees"].notna()]
    differ = ~known["agrees"].astype(bool)
    return int(known.loc[differ, "n"].sum()), int(known["n"].sum())


def sampled_counts(step: ir.Table) -> tuple[int, int, float, float] | None:
    """Return (scored, all, sum of shares, sum of their squares) of the pairs under a budget.

    None where there are none.
    """
    if "shadow_share" not in step.columns:
        return None
    sampled = step.filter(is_finite(_.shadow_share))
    skipped = ((_.primary_status == "skipped") | (_.candidate_status == "skipped")).fill_null(False)
    sums = sampled.agg(
        n=_.count(),
        scored=ibis.ifelse(skipped, 0, 1).sum(),
        shares=_.shadow_share.sum(),
        squares=(_.shadow_share * _.shadow_share).sum(),
    )
    [row] = sums.to_pyarrow().to_pylist()
    if not row["n"]:
        return None
    return int(row["scored"]), int(row["n"]), float(row["shares"]), float(row["squares"])


def feature_counts(step: ir.Table, edges: Mapping[str, tuple[float, ...]]) -> pd.DataFrame:
    """Count the pairs by the bin of each feature that has edges; -1 where it is missing."""
    tables = []
    for feature, bounds in edges.items():
        name = f"feature.{feature}"
        values = with_columns(step, [name], "float64")
        known = is_finite(values[name]).fill_null(False)
        place = ibis.ifelse(known, edge_bin(values[name], bounds), -1)
        tables.append(fetched(count_by(values, bin=place), FEATURES).assign(feature=feature))
    return stacked([table.astype(dict(FEATURES)) for table in tables], FEATURES)
