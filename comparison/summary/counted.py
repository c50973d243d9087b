"""The figures of a flag's pairs, counted by the engine that holds them.

They equal those that `comparison.summary.in_memory.summarise` computes from pairs in memory. The
number of pairs is not limited, since the engine returns only counts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.distinct import DistinctPairs
from comparison.counts.outputs.columns import both_ok, is_finite, with_columns
from comparison.counts.quantiles import Quantiles, exact_quantiles
from comparison.engines.grouping import TIME, count_by, fetched
from comparison.engines.sources import PairSource
from comparison.engines.worker_numbers import account_table
from comparison.errors import NoPairsError, WindowEmptyError
from comparison.evidence.statistics import Proportion
from comparison.pairs.accounting import Accounting
from comparison.pairs.columns import column_named
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.reader import outside_window
from comparison.pairs.sides import SIDES, STATUSES
from comparison.summary.counted_output import CountedOutput
from comparison.summary.empty_place import empty_place_message
from comparison.summary.figures import (
    EQUAL,
    LATENCY_QUANTILES,
    SCORE_QUANTILES,
    EqualAnswers,
    Share,
    SideFigures,
    Summary,
    Traffic,
    left_out_of,
    ordered_counts,
)

_STATUS: Final = tuple(f"{side}_status" for side in SIDES)
_PAIRS: Final = {
    "rollout": "float64",
    "active": "string",
    "served": "string",
    "fallback": "boolean",
    **{f"{side}_{what}": "string" for side in SIDES for what in ("status", "model", "error")},
    "first": TIME,
    "last": TIME,
}


def count_summary(
    source: PairSource,
    flag: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Summary:
    """Return the figures of a flag's pairs that were accepted in [since, until).

    Raises WindowEmptyError if the window ends before it begins, NoPairsError if it holds no pairs.
    """
    if since and until and since >= until:
        raise WindowEmptyError(f"the window ends ({until}) before it begins ({since})")
    every = DistinctPairs.of(source, since, until)
    pairs = source.as_view(every.table.filter(_.flag == flag))
    counts = _pair_counts(pairs)
    if counts.empty:
        raise NoPairsError(_nothing_there(source, flag))
    paired = both_ok(pairs)
    names = _recorded_outputs(pairs)
    outputs = [CountedOutput.of(paired, name) for name in names]
    latency, quantiles = _quantiles(pairs, outputs)
    is_paired = (counts[list(_STATUS)] == "ok").fillna(False).all(axis=1)
    return Summary(
        source=source.name,
        flag=flag,
        pairs=int(counts["n"].sum()),
        first=_datetime(counts["first"].min()),
        last=_datetime(counts["last"].max()),
        accounting=_accounting(source).of_flag(flag),
        traffic=_traffic(counts),
        primary=_side(counts, "primary", latency["primary"]),
        candidate=_side(counts, "candidate", latency["candidate"]),
        paired=int(counts.loc[is_paired, "n"].sum()),
        left_out=_left_out(counts),
        outputs=tuple(output.figures(quantiles[place]) for place, output in enumerate(outputs)),
        agreement=_agreement(paired, outputs),
        equal_answers=dict(_equal_answers(paired)),
    )


def _accounting(source: PairSource) -> Accounting:
    """Return the accounting of the whole place; for a table, from the rows of pairs alone."""
    if (known := source.accounting) is not None:
        return known
    whole = DistinctPairs.of(source, None, None)
    again = 0 if whole.repeats is None else int(whole.repeats.n.sum().to_pyarrow().as_py() or 0)
    return account_table(whole.table, again, ReadCounts())


def _nothing_there(source: PairSource, flag: str) -> str:
    everything = source.table().filter(_.flag == flag)
    ends = everything.agg(first=_.time.min(), last=_.time.max(), n=_.count())
    [row] = ends.to_pyarrow().to_pylist()
    if not row["n"]:
        return empty_place_message(source)
    first, last = (pd.Timestamp(row[name], tz="UTC") for name in ("first", "last"))
    return outside_window(source.name, first, last)


def _pair_counts(pairs: ir.Table) -> pd.DataFrame:
    by = [name for name in _PAIRS if name not in ("first", "last")]
    rows = pairs.mutate(rollout=ibis.ifelse(is_finite(_.rollout), _.rollout, None))
    counts = rows.group_by(by).agg(first=_.time.min(), last=_.time.max(), n=_.count())
    return fetched(counts, _PAIRS)


def _traffic(counts: pd.DataFrame) -> Traffic:
    by_rollout = counts.groupby("rollout", dropna=False, sort=True)
    return Traffic(
        active=_share(counts, "active"),
        served=_share(counts, "served"),
        unanswered=_proportion(counts, counts["served"].isna()),
        fallback=_proportion(counts, counts["fallback"].fillna(False)),
        by_rollout=tuple(
            Share(
                rollout=None if pd.isna(rollout) else float(str(rollout)),
                active=_share(rows, "active"),
                served=_share(rows, "served"),
            )
            for rollout, rows in by_rollout
        ),
    )


def _share(counts: pd.DataFrame, column: str) -> Proportion:
    return _proportion(counts, (counts[column] == "candidate").fillna(False))


def _proportion(counts: pd.DataFrame, rows: "pd.Series[bool]") -> Proportion:
    return Proportion.of(int(counts.loc[rows.astype(bool), "n"].sum()), int(counts["n"].sum()))


def _side(counts: pd.DataFrame, side: str, latency: Quantiles) -> SideFigures:
    statuses, models, errors = (
        ordered_counts(counts.groupby(f"{side}_{what}")["n"].sum().to_dict())
        for what in ("status", "model", "error")
    )
    failed = statuses.get("error", 0) + statuses.get("timeout", 0)
    total = int(counts["n"].sum())
    return SideFigures(
        side=side,
        statuses={name: Proportion.of(statuses.get(name, 0), total) for name in STATUSES},
        failed=Proportion.of(failed, failed + statuses.get("ok", 0)),
        latency=latency,
        models=models,
        errors=errors,
    )


def _left_out(counts: pd.DataFrame) -> dict[str, int]:
    found: Counter[tuple[str, str]] = Counter()
    columns = (counts[name].fillna("unknown").tolist() for name in _STATUS)
    for primary, candidate, n in zip(*columns, counts["n"].tolist(), strict=True):
        found[primary, candidate] += n
    return left_out_of(found)


def _recorded_outputs(pairs: ir.Table) -> list[str]:
    """Return the outputs with a value in any pair, in order of columns."""
    found = [(name, column_named(name)) for name in pairs.columns]
    outputs = {name: column.output for name, column in found if column and column.output}
    if not outputs:
        return []
    counts = pairs.agg(**{f"n{place}": pairs[name].count() for place, name in enumerate(outputs)})
    [row] = counts.to_pyarrow().to_pylist()
    recorded = [output for place, output in enumerate(outputs.values()) if row[f"n{place}"]]
    return list(dict.fromkeys(recorded))


def _quantiles(
    pairs: ir.Table, outputs: Sequence[CountedOutput]
) -> tuple[dict[str, Quantiles], list[dict[str, Quantiles]]]:
    """Return the quantiles of both sides' durations, and of each output's values."""
    columns: dict[str, ir.Table] = {
        side: pairs.filter(_[f"{side}_status"] == "ok").select(value=_[f"{side}_duration"])
        for side in SIDES
    }
    wanted: dict[str, tuple[float, ...]] = dict.fromkeys(columns, LATENCY_QUANTILES)
    for place, output in enumerate(outputs):
        values = {f"{place} {name}": table for name, table in output.values()}
        columns |= values
        wanted |= dict.fromkeys(values, SCORE_QUANTILES)
    found = exact_quantiles(columns, wanted)
    return {side: found[side] for side in SIDES}, [
        {
            name.partition(" ")[2]: each
            for name, each in found.items()
            if name.startswith(f"{place} ")
        }
        for place in range(len(outputs))
    ]


def _agreement(paired: ir.Table, outputs: Sequence[CountedOutput]) -> Proportion | None:
    """Count the pairs with equal decisions of both sides in every output with decisions."""
    names = [
        [f"{side}_decision.{each.name}" for side in SIDES] for each in outputs if each.is_decided
    ]
    if len(names) < 2:
        return None
    for both in names:
        paired = with_columns(paired, both, "boolean")
    known = ibis.and_(*(paired[name].notnull() for both in names for name in both))
    same = ibis.and_(*(paired[first] == paired[second] for first, second in names))
    return _share_of_same(paired.filter(known).select(same=same))


def _equal_answers(paired: ir.Table) -> Iterator[tuple[str, EqualAnswers]]:
    """Yield each output that is not a number, with the share of equal answers."""
    for name in paired.columns:
        start, _dot, output = name.partition(".")
        what = start.removeprefix("primary_")
        other = f"candidate_{what}.{output}"
        if start.startswith("primary_") and what in EQUAL and other in paired.columns:
            known = paired.filter(paired[name].notnull(), paired[other].notnull())
            same = known[name].cast("string") == known[other].cast("string")
            if (share := _share_of_same(known.select(same=same))) is not None:
                yield output, EqualAnswers(EQUAL[what], share)


def _share_of_same(rows: ir.Table) -> Proportion | None:
    counts = fetched(count_by(rows, same=_.same), {"same": "boolean"})
    if counts.empty:
        return None
    return _proportion(counts, counts["same"].fillna(False))


def _datetime(time: Any) -> datetime:
    found: datetime = pd.Timestamp(time).to_pydatetime(warn=False)
    return found
