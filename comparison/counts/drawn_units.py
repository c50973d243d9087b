"""Counts of pairs by unit that serve two questions: who failed, and labels by the assigned side.

To group millions of pairs by unit takes longer than anything else that is asked about units. So it
is done once, where labels by side follow from the same counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.counted_window import CountedWindow
from comparison.counts.drawn import flip_where
from comparison.counts.labelled import StepLabels
from comparison.counts.unit_failures import UNITS, UNITS_DRAWN
from comparison.engines.mergeable import MergeableCounts


@dataclass(frozen=True)  # without slots: labels are matched when they are asked for
class DrawnUnits:
    """Say by what the pairs of a window are counted by unit; without `labels`, who failed."""

    window: CountedWindow
    recorded: Mapping[str, int]
    labels: StepLabels | None

    @cached_property
    def counts(self) -> MergeableCounts:
        """Return what is counted; more than who failed only if labels by side may follow from it.

        That is where nearly all labels are negative, the flag drew what pairs name as their unit,
        and no request was sent again.
        """
        labels, columns = self.labels, self.window.columns
        if labels is None or not {"unit", "stickiness"} <= set(columns):
            return UNITS
        if self.recorded.get("drawn") or not self._has_all_until(labels.cutoff):
            return UNITS
        return UNITS_DRAWN if labels.are_negative and labels.repeats is None else UNITS

    def counted(self, begin: datetime | None, end: datetime, before: datetime) -> ir.Table | None:
        """Return counts of what the flag drew from `begin` until before both other times.

        Columns: unit, rollout, arm, flip, first, n. None if they are not known: of other times, or
        where the flag drew anything but units.
        """
        if self.counts is UNITS or begin != self.window.since:
            return None
        if not (self._has_all_until(end) and self._has_all_until(before)):
            return None
        counts = self.window.of_evidence(UNITS_DRAWN)
        named = counts.filter(_.by_field == 1).agg(n=_.n.sum()).to_pyarrow()["n"][0].as_py()
        if named != self.recorded["n"]:
            return None
        drawn = counts.filter(_.active.notnull(), _.rollout > 0, _.rollout < 100)
        arm, flip = ibis.ifelse(_.active == "candidate", 1, 0), flip_where(drawn, _.differs)
        return drawn.select("unit", "rollout", "first", "n", arm=arm, flip=flip)

    def _has_all_until(self, end: datetime | None) -> bool:
        """Say whether the window has the same pairs if it ends at another time."""
        whole, until = self.window.source.whole, self.window.until
        return end == until or (whole is not None and whole.bound(end) == whole.bound(until))
