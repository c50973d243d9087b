"""The health of both sides, from the counts of pairs by status."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from comparison.counts.tables import MinuteCounts, UnitFailures
from comparison.evidence.divergence import Booleans, Counts
from comparison.pairs.sides import CALLED, FAILED, SIDES
from flags.gate.evidence import (
    DURATION_EDGES,
    Count,
    Durations,
    Health,
    Minute,
    Paired,
    UnitHealth,
    UnitShare,
)


def health(
    carried: pd.DataFrame,
    step: pd.DataFrame,
    durations: pd.DataFrame,
    blocks: pd.DataFrame,
    warm_up: int = 0,
    by_unit: UnitFailures | None = None,
    minutes: MinuteCounts | None = None,
    errors: Mapping[str, Mapping[str, int]] | None = None,
) -> Health:
    """Return the health of both sides.

    `carried` and `step` are rows of `Aggregates.pairs`: all rows that count, and those of the step.
    """
    counted, own = _Statuses(carried), _Statuses(step)
    by_block = BlockDurations.of(blocks)
    return Health(
        statuses={side: by_value(step, f"{side}_status") for side in SIDES},
        failures=counted.failures(),
        fallbacks=counted.fallbacks(),
        active_failures=counted.active_failures(),
        shed=own.shed(),
        primary_served=own.primary_served(),
        durations={side: _durations(durations, side) for side in SIDES},
        block_ratios={
            f"latency_p{percent}": by_block.ratios(percent / 100) for percent in (50, 95, 99)
        },
        warm_up=warm_up,
        by_unit=_unit_health(by_unit) if by_unit else None,
        minutes=minutes_of(minutes) if minutes else (),
        errors=errors or {},
    )


def _unit_health(counts: UnitFailures) -> UnitHealth:
    rows = counts.failed
    failed = rows["candidate_failed"] - rows["primary_failed"]
    return UnitHealth(
        units=counts.called,
        failures=_shares(failed, rows["called"], rows["n"], counts.called),
        fallbacks=_shares(rows["fallbacks"], rows["active"], rows["n"], counts.active),
    )


def _shares(
    part: "pd.Series[int]", whole: "pd.Series[int]", n: "pd.Series[int]", units: int
) -> tuple[UnitShare, ...]:
    """Return the number of units by share `part` / `whole`; units without a row have share 0."""
    known = whole > 0
    counts = Counter({0.0: units - int(n[known].sum())})
    for share, count in zip((part[known] / whole[known]).tolist(), n[known].tolist(), strict=True):
        counts[share] += count
    return tuple(UnitShare(share, count) for share, count in sorted(counts.items()) if count)


@dataclass(frozen=True, slots=True)
class BlockDurations:
    """The calls of each block and side, by bin of their duration.

    Arrays of rows have shape (k,), ordered by block, side and bin: `bins`, and `cumulative`, the
    number of calls up to a row. Arrays of groups, one for each block and side, have shape (g,).
    """

    bins: Counts
    cumulative: Counts
    block: Counts
    side: Counts
    before: Counts
    """Number of calls in all earlier groups."""
    calls: Counts

    @classmethod
    def of(cls, blocks: pd.DataFrame) -> Self:
        """Convert the table `blocks` of `Aggregates`."""
        block, bins, n = (blocks[name].to_numpy(dtype=np.int64) for name in ("block", "bin", "n"))
        side = (blocks["side"] == SIDES[1]).to_numpy(dtype=np.int64)
        order = np.lexsort((bins, side, block))
        group, cumulative = 2 * block[order] + side[order], np.cumsum(n[order])
        last = np.append(np.flatnonzero(group[1:] != group[:-1]), len(group) - 1)[: len(group)]
        ends = cumulative[last]
        before = np.concatenate([[0], ends[:-1]])[: len(ends)].astype(np.int64)
        return cls(
            bins[order], cumulative, group[last] // 2, group[last] % 2, before, ends - before
        )

    def quantiles(self, probability: float) -> pd.DataFrame:
        """Return the quantile of each side in seconds, for each block in which both were called."""
        wanted = self.before + np.ceil(probability * self.calls).astype(np.int64)
        bins = self.bins[np.searchsorted(self.cumulative, wanted)]
        both = np.flatnonzero(self.block[1:] == self.block[:-1])  # the primary's group of a block
        edges = np.append(np.array(DURATION_EDGES), DURATION_EDGES[-1] * 1.05)
        seconds = {side: edges[bins[both + place]] for place, side in enumerate(SIDES)}
        return pd.DataFrame(seconds, index=pd.Index(self.block[both], name="block"))

    def ratios(self, probability: float) -> tuple[float, ...]:
        """Return the ratio of the sides' quantiles in each block in which both were called."""
        both = self.quantiles(probability)
        return tuple((both["candidate"] / both["primary"]).tolist())


def minutes_of(counts: MinuteCounts) -> tuple[Minute, ...]:
    """Return the failures and medians of each minute with calls of both sides, in order of time."""
    medians = BlockDurations.of(counts.durations).quantiles(0.5)
    table = counts.failures
    n = table["n"]
    lost = table["candidate_failed"].astype("int64") - table["primary_failed"].astype("int64")
    sums = pd.DataFrame({"block": table["block"], "n": n, "lost": lost * n})
    failed = sums.groupby("block").sum()
    both = failed.join(medians).sort_index()
    known = both[list(SIDES)].astype("object").where(both[list(SIDES)].notna(), None)
    return tuple(
        Minute(int(block), lost / n, old, new)
        for block, n, lost, old, new in zip(
            both.index.tolist(),
            *(both[name].tolist() for name in ("n", "lost")),
            *(known[name].tolist() for name in SIDES),
            strict=True,
        )
    )


class _Statuses:
    """Rows of pairs, counted by the statuses of both sides."""

    def __init__(self, pairs: pd.DataFrame) -> None:
        self._pairs = pairs
        self._n = pairs["n"].to_numpy(dtype=np.int64)

    def failures(self) -> Paired:
        failed = [self._is_in(f"{side}_status", FAILED) for side in SIDES]
        called = [self._is_in(f"{side}_status", CALLED) for side in SIDES]
        both_called = called[0] & called[1]
        return Paired(
            both=self._sum(both_called & failed[0] & failed[1]),
            primary_only=self._sum(both_called & failed[0] & ~failed[1]),
            candidate_only=self._sum(both_called & ~failed[0] & failed[1]),
            neither=self._sum(both_called & ~failed[0] & ~failed[1]),
        )

    def fallbacks(self) -> Count:
        active = self._is_in("active", frozenset({"candidate"}))
        fallback = self._pairs["fallback"].fillna(False).to_numpy(dtype=bool)
        return Count(self._sum(active & fallback), self._sum(active))

    def active_failures(self) -> Count:
        active = self._is_in("active", frozenset({"candidate"}))
        failed, called = (self._is_in("candidate_status", each) for each in (FAILED, CALLED))
        return Count(self._sum(active & failed), self._sum(active & called))

    def shed(self) -> Count:
        shed = [self._is_in(f"{side}_status", frozenset({"shed"})) for side in SIDES]
        return Count(self._sum(shed[0] | shed[1]), int(self._n.sum()))

    def primary_served(self) -> Count:
        return Count(
            self._sum(self._is_in("served", frozenset({"primary"}))),
            self._sum(self._pairs["served"].notna().to_numpy(dtype=bool)),
        )

    def _is_in(self, column: str, values: frozenset[str]) -> Booleans:
        return self._pairs[column].isin(values).to_numpy(dtype=bool)

    def _sum(self, rows: Booleans) -> int:
        return int(self._n[rows].sum())


def by_value(pairs: pd.DataFrame, column: str) -> dict[str, int]:
    """Count the pairs by value of a column, the most frequent first."""
    counts = pairs.groupby(column, observed=True)["n"].sum()
    counts = counts[counts > 0].sort_values(ascending=False, kind="stable")
    return {str(value): int(count) for value, count in counts.items()}


def _durations(durations: pd.DataFrame, side: str) -> Durations:
    rows = durations.loc[durations["side"] == side]
    size = len(DURATION_EDGES) + 1
    counts = np.bincount(rows["bin"].to_numpy(np.int64), rows["n"].to_numpy(), minlength=size)
    return Durations(tuple(counts.astype(np.int64).tolist()))
