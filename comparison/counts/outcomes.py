"""Counts of what happened downstream, by the side that the flag assigned.

Like `comparison.counts.aggregate`, expressions that mean the same to every engine. What the flag
draws once (a user, say, or each request) is a unit here; it is counted once for each rollout at
which it was seen, together with what its arms at the rollouts before say of its place: a flag that
is sticky gives it a fixed one between 0 and 100, and the candidate to those below the rollout.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.cut_off import cut_off
from comparison.counts.drawn import EACH_REQUEST, drawn_unit, flip_of, is_drawn_by_request
from comparison.counts.outputs import with_columns
from comparison.counts.reproducible_sums import share_sum, summed_by
from comparison.counts.requests import repeated_requests, requests_of
from comparison.engines.grouping import fetched
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.outcomes import MetricRows
from flags.gate.blocks import EPOCH, fitting_size
from flags.playbook.outcomes import OutcomePlan

LEVELS: Final = 64
"""Steps to which a continuous outcome is rounded."""

QUANTILE: Final = 0.999
"""Of what the shadow has shown of a continuous outcome, the most that counts of one unit."""

SKEW: Final = 60 * 1_000_000_000
"""Nanoseconds by which the clock of an outcome may be behind that of its request."""

CELLS: Final = {
    "block": "int64",
    "rollout": "float64",
    "low": "float64",
    "high": "float64",
    "candidate": "int64",
    "flipped": "Int64",
    "on_flips": "int64",
    "total": "int64",
}
"""Columns of the cells, each but for the count `n`.

`block` numbers the blocks of time in which units were first seen, `low` and `high` bound their
place.
"""

NOVELTY: Final = {"days": "int64", "rollout": "float64", "candidate": "int64"}

_DAY: Final = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class RolloutRun:
    """Hold the time [begin, end) in which the flag was at a rollout; both in nanoseconds."""

    rollout: float
    begin: int
    end: int | None
    """None of the newest one."""


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """Hold the cells of one metric; `on_flips` and `total` are levels, out of `levels`."""

    cells: pd.DataFrame
    novelty: pd.DataFrame
    levels: int
    block: timedelta
    """Size of the blocks of time, which are numbered from `EPOCH`."""
    used: int = 0
    without_pair: int = 0
    strange_units: int = 0
    """Of those, the ones that name a unit and no request."""
    outside: int = 0
    early: int = 0
    """Of these, outcomes of a request that are dated before it."""
    young: int = 0
    units: int = 0
    mixed: int = 0


@dataclass(frozen=True, slots=True)
class DrawnPairs:
    """Hold the pairs of a flag that it drew between both sides, one row for each request.

    Columns: request_id, unit, rollout, first, low and high arm (0 primary, 1 candidate), flip (1,
    0, missing: nobody knows); maybe `value`, whether a label is positive.
    """

    source: PairSource
    requests: ir.Table
    every: ir.Table
    """Request ids of the flag, of whatever time and rollout."""
    has_units: bool
    """Whether the flag draws units, which may have several requests each."""
    now: datetime
    others: ir.Table | None = None
    """Where `requests` have no `value`, those whose label is not negative, with it; else None."""

    @classmethod
    def of(
        cls,
        source: PairSource,
        flag: str,
        since: datetime | None,
        now: datetime,
        prepared: tuple[ir.Table, ir.Table | None] | None = None,
    ) -> "DrawnPairs":
        """Reduce the pairs accepted from `since` until `now`, when they are asked for.

        `prepared` are those of `PreparedPairs.drawn`, where these are prepared.
        """
        every = source.table().filter(_.flag == flag)
        pairs = source.table(since, now).filter(_.flag == flag)
        pairs = pairs.filter(_.active.notnull(), _.rollout > 0, _.rollout < 100)
        has_units = "stickiness" in pairs.columns
        if has_units:
            drawn = pairs.filter(_.stickiness.notnull(), ~_.stickiness.isin(EACH_REQUEST))
            has_units = bool(_size(drawn.limit(1)))
        requests, others = prepared or (None, None)
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
        return cls(source, requests, every, has_units, now, others)

    def kept(self) -> "DrawnPairs":
        """Return these, reduced once for all questions."""
        return replace(self, requests=self.source.kept(self.requests))

    @property
    def is_drawn_by_request(self) -> bool:
        """Say whether no pair was drawn for anything but its request."""
        return not self.has_units

    def count(
        self, rows: MetricRows, plan: OutcomePlan, most: float, runs: Sequence[RolloutRun]
    ) -> OutcomeCounts:
        """Count the outcomes of one metric; `most` of one unit count."""
        late = int(plan.cut_off.total_seconds() * 1e9)
        outcomes = self.source.kept(rows.table())
        old = self._old(plan.cut_off, runs if plan.by == "unit" else ())
        units = self.source.kept(self.units(old))
        if plan.by == "unit":
            matched = self._by_unit(outcomes, units, late)
        else:
            matched = self._by_request(outcomes, old, late)
        matched = self.source.kept(matched)
        levels = LEVELS if plan.kind == "continuous" else max(1, round(most))
        sizes = sizes_of(units)
        cells = self._cells(units, matched, most, levels, sizes.block)
        strange_units = self._strange_units(outcomes)
        on_flips = matched.filter(_.inside, _.on_flip, _.value > 0)
        return OutcomeCounts(
            cells=fetched(cells, CELLS),
            novelty=novelty_of(on_flips, self.requests) if self.has_units else no_novelty(),
            levels=levels,
            block=sizes.block,
            used=_size(matched.filter(_.inside)),
            without_pair=self._strange_requests(outcomes) + strange_units,
            strange_units=strange_units,
            outside=_size(matched.filter(~_.inside)),
            early=_size(matched.filter(_.early)) if plan.by == "request" else 0,
            young=_size(self.requests) - _size(old),
            units=sizes.units,
            mixed=sizes.mixed,
        )

    def quantile(self, rows: MetricRows) -> float | None:
        """Return the quantile of what the shadow has shown; None without an outcome of it."""
        outcomes = rows.table()
        early = self.every.filter(_.rollout == 0, _.time < nanoseconds(self.now))
        shadow = early.select("request_id").distinct()
        found = outcomes.inner_join(shadow, outcomes.outcome_id == shadow.request_id)
        values = summed_by(found, {"value": _.value}, {"request_id": "string"})["value"]
        values = values[values > 0]
        return None if values.empty else float(values.quantile(QUANTILE))

    def _old(self, delay: timedelta, runs: Sequence[RolloutRun]) -> ir.Table:
        """Keep the requests that are older than the cut-off.

        With `runs`, those whose time until the cut-off lies in one run: a unit whose side changes
        with the rollout before then would bring what the other side did.
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
        """Reduce to units and rollouts: arms, first request, first flip, bounds of the place.

        `values` of requests are added up.
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
            return alone.mutate(low=number(0), high=number(100))
        grouped = old.group_by("unit", "rollout").agg(
            first=_.first.min(),
            flipped_at=flipped_at.min(),
            arm=_.low.min(),
            other=_.high.max(),
            flipped=_.flip.max(),
            **{name: value.sum() for name, value in values.items()},
        )
        units = self.source.kept(grouped)  # asked three times
        several = units.group_by("unit").agg(n=_.count()).filter(_.n > 1)
        again = units.semi_join(several, "unit").select(
            "unit", earlier=_.first, earlier_rollout=_.rollout, earlier_arm=_.arm
        )
        before = units.inner_join(again, "unit").filter(_.earlier < _.first)
        places = before.group_by("unit", "rollout").agg(
            low=ibis.ifelse(_.earlier_arm == 0, _.earlier_rollout, number(0)).max(),
            high=ibis.ifelse(_.earlier_arm == 1, _.earlier_rollout, number(100)).min(),
        )
        places = places.rename(place_unit="unit", place_rollout="rollout")
        found = units.left_join(
            places,
            [units.unit == places.place_unit, units.rollout == places.place_rollout],
        )
        return found.mutate(
            low=_.low.fill_null(number(0)), high=_.high.fill_null(number(100))
        ).drop("place_unit", "place_rollout")

    def _by_request(self, outcomes: ir.Table, old: ir.Table, late: int) -> ir.Table:
        """Return the outcomes of requests: unit, rollout, arm, value, whether on a flip."""
        found = outcomes.inner_join(old, outcomes.outcome_id == old.request_id)
        return found.select(
            "unit",
            "rollout",
            "value",
            arm=_.low,
            at=_.first,
            on_flip=(_.flip == 1).fill_null(False),
            early=(_.occurred < _.first - SKEW).fill_null(False),
            inside=_inside(_.occurred, _.first, _.first, late),
        )

    def _by_unit(self, outcomes: ir.Table, units: ir.Table, late: int) -> ir.Table:
        """Return the outcomes of units, those that name a request by the unit of that."""
        requests = self.requests.select("request_id", of_request=_.unit)
        named = outcomes.left_join(requests, outcomes.outcome_id == requests.request_id)
        named = named.mutate(whose=ibis.coalesce(_.outcome_unit, _.of_request))
        found = named.select("whose", "value", "occurred").inner_join(units, _.whose == units.unit)
        since = found.flipped_at.fill_null(found.first)
        return found.select(
            "unit",
            "rollout",
            "value",
            "arm",
            at=_.occurred,
            on_flip=_.flipped_at.notnull() & (_.occurred >= _.flipped_at - SKEW),
            inside=_inside(_.occurred, _.first, since, late),
        )

    def _cells(
        self, units: ir.Table, matched: ir.Table, most: float, levels: int, block: timedelta
    ) -> ir.Table:
        happened = with_sums(units.filter(~is_mixed()), matched.filter(_.inside), most)
        return cells_of(happened, most, levels, block)

    def _strange_requests(self, outcomes: ir.Table) -> int:
        """Count the outcomes of requests that no pair has, of whatever time."""
        ids = self.every.select("request_id").distinct()
        named = outcomes.filter(_.outcome_id.notnull())
        return _size(named.anti_join(ids, named.outcome_id == ids.request_id))

    def _strange_units(self, outcomes: ir.Table) -> int:
        """Count the outcomes that name only a unit, and one that no pair has, of whatever time."""
        named = outcomes.filter(_.outcome_id.isnull())
        units = with_columns(self.every, ["unit", "drawn"], "string")
        known = units.select(known=ibis.coalesce(_.drawn, _.unit)).distinct()
        return _size(named.anti_join(known, named.outcome_unit == known.known))


@dataclass(frozen=True, slots=True)
class Sizes:
    """Count units, and those that saw both sides; `block` is a size of blocks of time for them."""

    units: int
    mixed: int
    block: timedelta


def sizes_of(units: ir.Table) -> Sizes:
    """Count units in one query; their blocks are as many as a chart can show."""
    found = units.agg(
        n=_.count(),
        mixed=ibis.ifelse(is_mixed(), 1, 0).sum(),
        first=_.first.min(),
        last=_.first.max(),
    )
    [row] = found.to_pyarrow().to_pylist()
    first, last = (pd.Timestamp(row[name] or 0, tz="UTC") for name in ("first", "last"))
    return Sizes(int(row["n"]), int(row["mixed"] or 0), fitting_size(first, last))


def with_sums(units: ir.Table, happened: ir.Table, most: float) -> ir.Table:
    """Add to units what happened to them, on flips and in all; to most, nothing did.

    Beyond `most`, nothing counts.
    """
    value = ibis.ifelse(_.value > number(most), number(most), _.value)
    sums = happened.group_by("unit", "rollout").agg(
        on_flips=share_sum(ibis.ifelse(_.on_flip, value, number(0)), most),
        total=share_sum(value, most),
    )
    sums = sums.rename(sum_unit="unit", sum_rollout="rollout")
    both = units.left_join(sums, [units.unit == sums.sum_unit, units.rollout == sums.sum_rollout])
    return both.drop("sum_unit", "sum_rollout")


def cells_of(units: ir.Table, most: float, levels: int, block: timedelta) -> ir.Table:
    """Count units by time, rollout, place, arm, flip, and what happened: on flips, and in all."""
    return units.group_by(
        "rollout",
        "low",
        "high",
        "flipped",
        block=(_.first - nanoseconds(EPOCH)) // (block // timedelta(microseconds=1) * 1_000),
        candidate=_.arm,
        on_flips=_level(_.on_flips, most, levels),
        total=_level(_.total, most, levels),
    ).agg(n=_.count())


def novelty_of(on_flips: ir.Table, known: ir.Table) -> pd.DataFrame:
    """Count what happened on flips by how many days the unit had been known.

    `known` has the units, and `first`, when they were seen.
    """
    began = known.group_by("unit").agg(began=_.first.min())
    aged = on_flips.inner_join(began, "unit")
    days = ibis.ifelse(_.at > _.began, (_.at - _.began) // _DAY, 0)
    counts = aged.group_by(days=days, rollout=_.rollout, candidate=_.arm).agg(n=_.count())
    return fetched(counts, NOVELTY)


def no_novelty() -> pd.DataFrame:
    """Return that table without rows."""
    return pd.DataFrame({name: [] for name in (*NOVELTY, "n")})


def is_mixed() -> Any:
    """Say of a unit that it saw both sides, or one that its place cannot give it."""
    both = _.arm != _.other
    misplaced = ((_.arm == 1) & (_.rollout <= _.low)) | ((_.arm == 0) & (_.rollout >= _.high))
    return both | misplaced


def _inside(occurred: Any, first: Any, since: Any, late: int) -> Any:
    """Say whether an outcome came after the first request and before the cut-off."""
    inside = occurred >= first - SKEW
    if late:
        inside &= occurred < since + late
    return inside.fill_null(True)


def _level(value: Any, most: float, levels: int) -> Any:
    """Return a sum as a whole number of levels, `levels` at most."""
    known = value.fill_null(number(0))
    capped = ibis.ifelse(known > number(most), number(most), known)
    # Not by round: engines differ in what they make of a half.
    return (capped * number(levels / most) + number(0.5)).floor().cast("int64")


def number(value: float) -> Any:
    """Return a number of one type in every engine: a literal may become a decimal, or whole."""
    return ibis.literal(repr(float(value))).cast("float64")


def _size(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())


def rollout_runs(slots: pd.DataFrame) -> tuple[RolloutRun, ...]:
    """Return in which time which rollout was in force, by the most pairs of each slot of time.

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
