"""The pairs of a flag in a window, as they are counted: by what the place keeps, if it can."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.distinct import DistinctPairs
from comparison.engines.mergeable import MergeableCounts, PreparedRows
from comparison.engines.one_pass import counted_once
from comparison.engines.sources import PairSource
from comparison.engines.tables import in_window, nanoseconds


@dataclass(frozen=True, slots=True)
class StepPairs:
    """Say which pairs of a window are those of the step: from `since` on, made at `rollout`."""

    rollout: float | None
    since: datetime | None

    def has(self) -> Any:
        """Say whether a pair is one of the step."""
        here = self._is_at_rollout()
        return here if self.since is None else here & ~self._is_before()

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


@dataclass(frozen=True, slots=True)
class CountedWindow:
    """Count the pairs of a flag in [since, until); `parts` says which are those of the step."""

    source: PairSource
    flag: str | None
    since: datetime | None
    until: datetime | None
    parts: StepPairs
    every: DistinctPairs
    is_step: bool = False
    """Whether evidence is known to be taken from no other pairs than those of the step."""

    def of(self, pairs: pd.DataFrame) -> Self:
        """Return the same, given the table of `comparison.counts.step.pair_counts`."""
        return replace(
            self, is_step=self.parts.since is None or bool((pairs["part"] == "step").all())
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the pairs."""
        return tuple(self.every.table.columns)

    def of_all(self, counts: MergeableCounts, *, early: bool | None = None) -> ir.Table:
        """Count the pairs of whatever rollout: all, those from before the step, or all others."""
        since, until = self.since, self.until
        if early:
            until = self.parts.since
        elif early is not None:
            since = self.parts.since or since
        return self._counted(counts.where(flag=self.flag), since, until)

    def of_evidence(
        self, counts: MergeableCounts, prepared: PreparedRows | None = None
    ) -> ir.Table:
        """Count the pairs that evidence is taken from, or the rows that are prepared from them."""
        if prepared is not None:
            return self.source.counted(counts, self.since, self.until, prepared)
        return self.of_all(counts) if self.parts.since else self.of_step(counts)

    def of_step(self, counts: MergeableCounts, since: datetime | None = None) -> ir.Table:
        """Count those of the step, from some time on."""
        if self.is_step and self.parts.since and since is None:
            return self.of_all(counts)
        if self.parts.rollout is not None:
            counts = counts.where(rollout=float(self.parts.rollout))
        begins = [each for each in (self.since, self.parts.since, since) if each is not None]
        return self._counted(counts.where(flag=self.flag), max(begins, default=None), self.until)

    def _counted(
        self, counts: MergeableCounts, since: datetime | None, until: datetime | None
    ) -> ir.Table:
        if self.every.is_whole:
            return self.source.counted(counts, since, until)
        return counted_once(counts, in_window(self.every.table, since, until))
