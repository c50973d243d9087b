"""Count the pairs of a flag in a window, with kept counts if the place has some."""

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
class StepFilter:
    """A filter for the pairs of the step: accepted from `since` on, and made at `rollout`."""

    rollout: float | None
    since: datetime | None

    def condition(self) -> Any:
        """Return the condition that a pair is of the step."""
        here = self._is_at_rollout()
        return here if self.since is None else here & ~self._is_before()

    @property
    def is_partial(self) -> bool:
        """Return whether some pairs of the window may not be of the step."""
        return self.rollout is not None or self.since is not None

    def apply(self, window: ir.Table) -> ir.Table:
        """Keep the pairs of the step."""
        return window.filter(self.condition())

    def _is_at_rollout(self) -> Any:
        if self.rollout is None:
            return ibis.literal(True)
        return (_.rollout == float(self.rollout)).fill_null(False)

    def _is_before(self) -> Any:
        assert self.since is not None  # noqa: S101 - for the type checker
        return _.time < nanoseconds(self.since)


@dataclass(frozen=True, slots=True)
class CountedWindow:
    """The pairs of a flag in [since, until), to be counted; `step` selects those of the step."""

    source: PairSource
    flag: str | None
    since: datetime | None
    until: datetime | None
    step: StepFilter
    pairs: DistinctPairs
    is_step: bool = False
    """Whether it is known that evidence is taken only from pairs of the step."""

    def with_pair_counts(self, pairs: pd.DataFrame) -> Self:
        """Set `is_step` from the table of `comparison.counts.step.pair_counts`."""
        return replace(
            self, is_step=self.step.since is None or bool((pairs["part"] == "step").all())
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the pairs."""
        return tuple(self.pairs.table.columns)

    def count_all(self, counts: MergeableCounts, *, early: bool | None = None) -> ir.Table:
        """Count the pairs of any rollout; `early` selects those before or since the step began."""
        since, until = self.since, self.until
        if early:
            until = self.step.since
        elif early is not None:
            since = self.step.since or since
        return self._counted(counts.where(flag=self.flag), since, until)

    def count_evidence(
        self, counts: MergeableCounts, prepared: PreparedRows | None = None
    ) -> ir.Table:
        """Count the pairs that evidence is taken from, or the rows `prepared` from them."""
        if prepared is not None:
            return self.source.counted(counts, self.since, self.until, prepared)
        return self.count_all(counts) if self.step.since else self.count_step(counts)

    def count_step(self, counts: MergeableCounts, since: datetime | None = None) -> ir.Table:
        """Count the pairs of the step, from `since` on."""
        if self.is_step and self.step.since and since is None:
            return self.count_all(counts)
        if self.step.rollout is not None:
            counts = counts.where(rollout=float(self.step.rollout))
        begins = [each for each in (self.since, self.step.since, since) if each is not None]
        return self._counted(counts.where(flag=self.flag), max(begins, default=None), self.until)

    def _counted(
        self, counts: MergeableCounts, since: datetime | None, until: datetime | None
    ) -> ir.Table:
        if self.pairs.is_whole:
            return self.source.counted(counts, since, until)
        return counted_once(counts, in_window(self.pairs.table, since, until))
