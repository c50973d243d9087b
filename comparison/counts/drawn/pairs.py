"""The requests and units that a flag drew between both sides.

A unit is what the flag draws once: a user, say, or each request. It has a row for each rollout at
which it was seen. A sticky flag gives a unit a fixed place between 0 and 100, and assigns the
candidate to places below the rollout, so the unit's arms at earlier rollouts bound its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.bins import real
from comparison.counts.drawn.cut_off import cut_off
from comparison.counts.drawn.draws import EACH_REQUEST, drawn_unit, flip_of, is_drawn_by_request
from comparison.counts.drawn.requests import repeated_requests, requests_of
from comparison.engines.grouping import row_count
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from flags.gate.blocks import fitting_size


@dataclass(frozen=True, slots=True)
class RolloutRun:
    """The time [begin, end) in which the flag was at one rollout; in nanoseconds since 1970."""

    rollout: float
    begin: int
    end: int | None
    """None for the newest run."""


@dataclass(frozen=True, slots=True)
class DrawnPairs:
    """The requests of a flag that it drew between both sides.

    Columns of `requests`: request_id, unit, rollout, first (time), low and high (smallest and
    largest arm: 0 primary, 1 candidate), flip (1, 0, missing: unknown); with labels maybe `value`,
    whether a label is positive.
    """

    source: PairSource
    requests: ir.Table
    all_pairs: ir.Table
    """The pairs of the flag of any time and rollout."""
    has_units: bool
    """Whether the flag draws units, which may have several requests each."""
    now: datetime
    exceptions: ir.Table | None = None
    """The requests whose label is not negative, with `value`, if `requests` has no `value`; else
    None."""

    @classmethod
    def of(
        cls,
        source: PairSource,
        flag: str,
        since: datetime | None,
        now: datetime,
        prepared: tuple[ir.Table, ir.Table | None] | None = None,
    ) -> "DrawnPairs":
        """Reduce the pairs accepted from `since` until `now`, the time of the look.

        `prepared` is the result of `PreparedPairs.drawn`, if it is not None.
        """
        all_pairs = source.table().filter(_.flag == flag)
        pairs = source.table(since, now).filter(_.flag == flag)
        pairs = pairs.filter(_.active.notnull(), _.rollout > 0, _.rollout < 100)
        has_units = "stickiness" in pairs.columns
        if has_units:
            drawn = pairs.filter(_.stickiness.notnull(), ~_.stickiness.isin(EACH_REQUEST))
            has_units = bool(row_count(drawn.limit(1)))
        requests, exceptions = prepared or (None, None)
        if requests is None:
            reduced = pairs.select(
                "request_id",
                "rollout",
                "time",
                unit=drawn_unit(pairs, is_drawn_by_request(pairs)),
                arm=ibis.ifelse(_.active == "candidate", 1, 0),
                flip=flip_of(pairs),
            )
            requests = requests_of(reduced, repeated_requests(source, reduced))
        return cls(source, requests, all_pairs, has_units, now, exceptions)

    def cached(self) -> "DrawnPairs":
        """Return the same, with `requests` computed once for all statements."""
        return replace(self, requests=self.source.cached(self.requests))

    def old_enough(self, delay: timedelta, runs: Sequence[RolloutRun]) -> ir.Table:
        """Return the requests that are older than a delay.

        With `runs`, only requests whose whole delay lies in one run: if the side of a unit changes
        within the delay, its later outcomes may come from the other side.
        """
        old = self.requests.filter(_.first < nanoseconds(cut_off(self.now, delay)))
        if not runs:
            return old
        inside = ibis.literal(False)
        for run in runs:
            here = (_.rollout == run.rollout) & (_.first >= run.begin)
            if run.end is not None:
                here &= _.first < run.end - delay // timedelta(microseconds=1) * 1_000
            inside = inside | here
        return old.filter(inside)

    def units(self, old: ir.Table, **values: Any) -> ir.Table:
        """Group requests by unit and rollout: arms, first request, first flip, bounds of the place.

        `values` are columns of requests, which are summed.
        """
        flipped_at = ibis.ifelse(_.flip == 1, _.first, None)
        if not self.has_units:  # each request is a unit
            alone = old.select(
                "unit",
                "rollout",
                "first",
                flipped_at=flipped_at,
                arm=_.low,
                other=_.high,
                flipped=_.flip,
                **values,
            )
            return alone.mutate(low=real(0.0), high=real(100.0))
        grouped = old.group_by("unit", "rollout").agg(
            first=_.first.min(),
            flipped_at=flipped_at.min(),
            arm=_.low.min(),
            other=_.high.max(),
            flipped=_.flip.max(),
            **{name: value.sum() for name, value in values.items()},
        )
        return _with_places(self.source, self.source.cached(grouped))  # three statements read it


def _with_places(source: PairSource, units: ir.Table) -> ir.Table:
    """Add bounds of each unit's place, from its arms at earlier rollouts; few units have any."""
    several = units.group_by("unit").agg(n=_.count()).filter(_.n > 1)
    again = units.semi_join(several, "unit").select(
        "unit", earlier=_.first, earlier_rollout=_.rollout, earlier_arm=_.arm
    )
    before = units.inner_join(again, "unit").filter(_.earlier < _.first)
    places = before.group_by("unit", "rollout").agg(
        low=ibis.ifelse(_.earlier_arm == 0, _.earlier_rollout, real(0.0)).max(),
        high=ibis.ifelse(_.earlier_arm == 1, _.earlier_rollout, real(100.0)).min(),
    )
    places = source.cached(places.rename(place_unit="unit", place_rollout="rollout"))
    found = units.left_join(
        places,
        [units.unit == places.place_unit, units.rollout == places.place_rollout],
    )
    return found.mutate(low=_.low.fill_null(real(0.0)), high=_.high.fill_null(real(100.0))).drop(
        "place_unit", "place_rollout"
    )


@dataclass(frozen=True, slots=True)
class Sizes:
    """The number of units and of mixed units (which saw both sides), and a fitting block size."""

    units: int
    mixed: int
    block: timedelta


def sizes_of(units: ir.Table) -> Sizes:
    """Count units in one query; the block size gives as many blocks as a chart can show."""
    found = units.agg(
        n=_.count(),
        mixed=ibis.ifelse(is_mixed(), 1, 0).sum(),
        first=_.first.min(),
        last=_.first.max(),
    )
    [row] = found.to_pyarrow().to_pylist()
    first, last = (pd.Timestamp(row[name] or 0, tz="UTC") for name in ("first", "last"))
    return Sizes(int(row["n"]), int(row["mixed"] or 0), fitting_size(first, last))


def is_mixed() -> Any:
    """Return whether a unit saw both sides, or a side that contradicts its place."""
    both = _.arm != _.other
    misplaced = ((_.arm == 1) & (_.rollout <= _.low)) | ((_.arm == 0) & (_.rollout >= _.high))
    return both | misplaced


def rollout_runs(slots: pd.DataFrame) -> tuple[RolloutRun, ...]:
    """Return the runs of the flag: the rollout of a slot of time is that of most of its pairs.

    `slots` is as in `comparison.judgement.runs.latest_run`.
    """
    known = slots.dropna(subset=["rollout"]).sort_values(["slot", "n"], kind="stable")
    ruling = known.drop_duplicates("slot", keep="last")
    found: list[RolloutRun] = []
    for rollout, first in zip(ruling["rollout"], ruling["first"], strict=True):
        if found and found[-1].rollout == rollout:
            continue
        if found:
            found[-1] = RolloutRun(found[-1].rollout, found[-1].begin, int(first))
        found.append(RolloutRun(float(rollout), int(first), None))
    return tuple(found)
