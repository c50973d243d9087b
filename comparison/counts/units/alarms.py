"""Count alarms by unit: a unit counts once per block of time, however many requests it sends.

The request of a pair without a unit counts as a unit, and counts once if it is sent again. Only
pairs with an alarm are grouped: units without an alarm follow from the number of all units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.counted_window import CountedWindow
from comparison.counts.outputs.rows import OUTPUT, ByOutput, OutputRows
from comparison.counts.outputs.segments import (
    SEGMENT_CODE,
    fetched_by_segment,
    rows_by_segment,
    segments_of,
)
from comparison.counts.tables import UnitAggregates
from comparison.counts.units.failures import UNITS, bit_of, is_drawn_by_field
from comparison.counts.units.flip_clusters import design_effect, excess_flips
from comparison.engines.grouping import (
    CELLS,
    HOUR,
    HOUR_CELLS,
    MINUTE,
    SEGMENT_CELLS,
    Dtypes,
    empty,
    fetched_table,
)
from comparison.engines.mergeable import GroupSums, MergeableCounts, group_sums
from comparison.engines.sources import PairSource
from comparison.engines.text_functions import grouping_key
from comparison.pairs.sides import SIDES

BLOCKS: Final = (HOUR, 4 * HOUR, 24 * HOUR)
"""Possible lengths of a block in nanoseconds; with few requests per unit, the window is one."""

PER_BLOCK: Final = 10
"""Requests of a unit in a block, at most on average: with more, a block hides a change; with fewer,
a burst is split into several blocks."""


@dataclass(frozen=True, slots=True)
class UnitVolume:
    """How many units a window has, and how many requests they sent."""

    units: int
    requests: int
    span: int
    """Nanoseconds from the first to the last pair."""

    @classmethod
    def of(cls, units: pd.DataFrame | None, span: int) -> "UnitVolume":
        """Add up the result of `units_of`; None if no unit is recorded."""
        if units is None:
            return cls(0, 0, 0)
        return cls(int(units["units"].sum()), int(units["requests"].sum()), span)

    @property
    def block(self) -> int | None:
        """Return the length of a block in nanoseconds; None if the whole window is one block.

        It is the longest of `BLOCKS` in which a unit has at most `PER_BLOCK` requests on average,
        or else the shortest.
        """
        if not self.units or self.requests <= PER_BLOCK * self.units:
            return None
        per_hour = self.requests / self.units / max(1.0, self.span / HOUR)
        fitting = [each for each in BLOCKS if per_hour * each / HOUR <= PER_BLOCK]
        return max(fitting, default=BLOCKS[0])

    def blocks_of(self, hours: ir.Table) -> ir.Table:
        """Add the column `block`, in which a unit counts once, to rows with `hour` and `named`."""
        if self.block is None:
            return hours.mutate(block=ibis.literal(0, type="int64"))
        block = ibis.ifelse(hours.named == 1, hours.hour // self.block, 0)
        return hours.mutate(block=block.cast("int64"))


def unit_columns(pairs: ir.Table) -> dict[str, Any]:
    """Return columns of pairs: `who` (unit, or else request), `named` (`who` is a unit), `hour`."""
    unit = pairs.unit if "unit" in pairs.columns else ibis.null("string")
    return {
        "who": ibis.coalesce(unit, pairs.request_id),
        "named": unit.notnull(),
        "hour": pairs.time - pairs.time % HOUR,
    }


def alarms_by_unit(
    source: PairSource, rows: OutputRows, volume: UnitVolume, quiet: Mapping[int, bool]
) -> dict[int, UnitAggregates]:
    """Count units by alarm, for the outputs whose places are the keys of `quiet`.

    An output is quiet if most of its pairs are alarms of the primary. Then pairs without an alarm
    are counted instead: they are the rarer case.
    """
    if not quiet:
        return {}
    rows = rows.of_outputs(tuple(quiet))
    outputs, segments = rows.outputs, segments_of(rows.table)
    quiet_places = tuple(place for place, is_quiet in quiet.items() if is_quiet)
    sums = _UnitSums(outputs, segments, volume).needed()
    tables = _sum_units(source, rows, segments, quiet_places, sums)
    by_block = outputs.fetched(tables["blocks"], CELLS)
    once = outputs.fetched(tables["once"], CELLS) if "once" in tables else by_block
    by_hour = outputs.fetched(tables["hours"], HOUR_CELLS)
    by_segment = (
        fetched_by_segment(outputs, tables["segments"], segments, SEGMENT_CELLS)
        if segments
        else {place: empty(SEGMENT_CELLS) for place in outputs.places}
    )
    effects = outputs.ratios(tables["effects"]) if "effects" in tables else {}
    hourly_design_effects = outputs.ratios(tables["hourly_design_effects"]) if volume.units else {}
    found = {
        place: UnitAggregates(
            units=volume.units,
            requests=volume.requests,
            block=volume.block,
            blocks=by_block[place],
            once=once[place],
            segments=by_segment[place],
            design_effect=effects.get(place, 1.0),
            hours=by_hour[place],
            hourly_design_effect=hourly_design_effects.get(place, 1.0),
            is_quiet=is_quiet,
        )
        for place, is_quiet in quiet.items()
    }
    if volume.units:
        return found
    minutes = _alarms_by_minute(rows)
    return {place: without_bursts(each, minutes[place]) for place, each in found.items()}


def _sum_units(
    source: PairSource,
    rows: OutputRows,
    segments: Sequence[str],
    quiet: tuple[int, ...],
    sums: Mapping[str, GroupSums],
) -> dict[str, ir.Table]:
    """Return the sums over units by name; at `quiet` places, count pairs without an alarm."""

    def counted(groups: GroupSums | None) -> ir.Table:
        return rows.count(
            "alarmed",
            lambda each: _alarmed(each, segments, quiet),
            ("who", "named", "hour", *segments),
            dict.fromkeys(CELLS, "largest"),
            (quiet,),
            groups=groups,
        )

    cache = source.cached if rows.counted is None else None
    return dict(zip(sums, group_sums(counted, list(sums.values()), cache), strict=True))


def _alarmed(rows: OutputRows, segments: Sequence[str], quiet: Sequence[int]) -> ir.Table:
    """Return the rows with an alarm of either side; for quiet outputs, those without an alarm."""
    alarm = {name: _[name] for name in CELLS}
    if len(quiet) == len(rows.outputs.places):
        alarm = {name: ~decided for name, decided in alarm.items()}
    elif quiet:
        is_quiet = _[OUTPUT].isin(quiet)
        alarm = {name: ibis.ifelse(is_quiet, ~decided, decided) for name, decided in alarm.items()}
    found = rows.decided.filter(ibis.or_(*alarm.values()))
    alarms = {name: each.cast("int8") for name, each in alarm.items()}
    return found.select(*rows.outputs.key, *segments, **unit_columns(found), **alarms)


@dataclass(frozen=True, slots=True)
class _UnitSums:
    """The sums over units of the rows that `_alarmed` returns."""

    outputs: ByOutput
    segments: Sequence[str]
    volume: UnitVolume

    def needed(self) -> dict[str, GroupSums]:
        """Return the sums that are needed, by name; it depends on units, blocks and segments."""
        has_units = bool(self.volume.units)
        sums = {"blocks": self.cells("block"), "hours": self.cells("hour", HOUR_CELLS)}
        if self.segments:
            sums["segments"] = self.segment_cells()
        if has_units and self.volume.block is not None:
            sums |= {"once": self.cells(), "effects": self.effects("block")}
        if has_units:
            sums["hourly_design_effects"] = self.effects("hour")
        return sums

    def cells(self, block: str | None = None, dtypes: Dtypes = CELLS) -> GroupSums:
        """Count each unit by the alarms of both sides: once, or once in each block or hour."""
        once = ["who", *([block] if block else [])]

        def rows(counts: ir.Table) -> ir.Table:
            found = self._once(self.volume.blocks_of(counts), *once)
            period = {"period": _.hour} if "period" in dtypes else {}
            return self._counted_once(found, **period)

        return self._sums(f"cells.{block}", rows, (*self.outputs.key, *dtypes))

    def segment_cells(self) -> GroupSums:
        """Count each unit by alarms once per block and value of a segment."""

        def rows(counts: ir.Table) -> ir.Table:
            by_segment = rows_by_segment(self.volume.blocks_of(counts), self.segments)
            found = self._once(by_segment, "who", "block", SEGMENT_CODE, "value")
            return self._counted_once(found, **{name: _[name] for name in (SEGMENT_CODE, "value")})

        by = (*self.outputs.key, SEGMENT_CODE, *(x for x in SEGMENT_CELLS if x != "segment"))
        return self._sums("segments", rows, by)

    def effects(self, block: str) -> GroupSums:
        """Return the design effect of flips of the same unit in different blocks.

        It is the variance of the sum of a unit's flips (candidate's alarm minus primary's) over the
        sum of their variances (Kish, "Survey Sampling", 1965, 5.4): 1 if blocks are independent.
        """
        flip = _.candidate_alarm.cast("int32") - _.primary_alarm.cast("int32")

        def rows(counts: ir.Table) -> ir.Table:
            once = self._once(self.volume.blocks_of(counts), "who", block).mutate(flip=flip)
            by_unit = once.group_by(*self.outputs.key, "who").agg(
                total=_.flip.sum().cast("int64"), own=(_.flip * _.flip).sum().cast("int64")
            )
            return by_unit.select(*self.outputs.key, between=_.total * _.total, within=_.own)

        return self._sums(f"effects.{block}", rows, self.outputs.key, ("between", "within"))

    def _once(self, counts: ir.Table, *by: str) -> ir.Table:
        """Reduce to one row per unit: a side alarmed it if it did so at least once."""
        sides = {f"{side}_alarm": _[f"{side}_alarm"].max() for side in SIDES}
        return counts.group_by(*self.outputs.key, *by).agg(**sides)

    def _counted_once(self, once: ir.Table, **others: Any) -> ir.Table:
        """Return the cells of each row, with a count of 1."""
        return once.select(*self.outputs.key, *CELLS, n=ibis.literal(1, "int64"), **others)

    def _sums(
        self,
        name: str,
        rows: Callable[[ir.Table], ir.Table],
        by: Sequence[str],
        measures: Sequence[str] = ("n",),
    ) -> GroupSums:
        return GroupSums(name, ("who",), rows, by, measures, (self.volume.block,))


_FLIPS: Final = ("primary_only", "candidate_only")
"""The two kinds of flips: which side alone raised the alarm."""

_MINUTE_COUNTS: Final[Dtypes] = dict.fromkeys(("minute", "both", *_FLIPS), "int64")


def _alarms_by_minute(rows: OutputRows) -> dict[int, pd.DataFrame]:
    """Count the pairs of each output by minute: alarms of both sides, flips, and `n`, all pairs."""
    outputs, primary, candidate = rows.outputs, _.primary_alarm, _.candidate_alarm

    def decided(each: OutputRows) -> ir.Table:
        cells = {
            "both": primary & candidate,
            "primary_only": primary & ~candidate,
            "candidate_only": candidate & ~primary,
        }
        counts = {name: is_so.cast("int64") for name, is_so in cells.items()}
        return each.decided.select(*outputs.key, minute=_.time // MINUTE, **counts)

    measures = dict.fromkeys(("both", *_FLIPS, "n"), "sum")
    return outputs.fetched(rows.count("minutes", decided, ("minute",), measures), _MINUTE_COUNTS)


def without_bursts(aggregates: UnitAggregates, minutes: pd.DataFrame) -> UnitAggregates:
    """Return the alarms of requests without a unit, without the flips that exceed chance.

    `minutes` has minute (since 1970), both, primary_only, candidate_only and n (all pairs).
    """
    flips = minutes["primary_only"] + minutes["candidate_only"]
    is_quiet = aggregates.is_quiet
    alarms = minutes["n"] - minutes["both"] if is_quiet else minutes["both"] + flips
    by_minute = minutes.assign(flips=flips, alarms=alarms)
    flips_effect = design_effect(by_minute)
    excess = excess_flips(by_minute, _FLIPS)
    period = pd.to_datetime(excess["minute"] * MINUTE // HOUR * HOUR, utc=True)
    sides = [
        pd.DataFrame(
            {
                "period": period,
                "primary_alarm": (name == "primary_only") != is_quiet,
                "candidate_alarm": (name == "candidate_only") != is_quiet,
                "n": excess[name],
            }
        )
        for name in _FLIPS
    ]
    cells = pd.concat(sides).astype({**HOUR_CELLS, "n": "int64"})
    cells = cells[cells["n"] > 0]
    return replace(
        aggregates,
        once=_subtracted(aggregates.once, cells, CELLS),
        design_effect=max(flips_effect, design_effect(by_minute, "alarms")),
        hours=_subtracted(aggregates.hours, cells, HOUR_CELLS),
        hourly_design_effect=flips_effect,
    )


def _subtracted(counts: pd.DataFrame, excess: pd.DataFrame, by: Dtypes) -> pd.DataFrame:
    """Subtract the `excess` from the counts of the same cell; a result below 0 becomes 0."""
    signed = [counts, excess[[*by, "n"]].assign(n=-excess["n"])]
    summed = pd.concat(signed).groupby([*by], as_index=False)["n"].sum()
    left = pd.DataFrame(summed).astype({**by, "n": "int64"})
    return left.assign(n=left["n"].clip(lower=0))


def drawn_counts(window: CountedWindow, recorded: Mapping[str, int]) -> tuple[int, int] | None:
    """Return (assigned to the candidate, all) of the units that the flag drew in the step.

    None if it draws requests, or if no pair records what it draws.
    """
    if "stickiness" not in window.columns or not {"unit", "drawn"} & set(window.columns):
        return None
    if recorded.get("drawn"):
        units = window.count_step(_DRAWN).group_by("active").agg(n=_.count())
    else:  # the flag draws units, and `UNITS` are counted anyway
        units = window.count_step(replace(UNITS, groups=_DRAWN_UNITS))
    counts = {row["active"]: int(row["n"]) for row in fetched_table(units).to_pylist()}
    total = sum(counts.values())
    return (counts.get(1, 0), total) if total else None


def _drawn(pairs: ir.Table) -> ir.Table:
    by_field = pairs.filter(is_drawn_by_field(pairs), _.active.notnull())
    columns = [by_field[name] for name in ("drawn", "unit") if name in pairs.columns]
    active = ibis.ifelse(by_field.active == "candidate", 1, 0).cast("int8")
    drawn = by_field.select(active=active, drawn=ibis.coalesce(*columns)).filter(_.drawn.notnull())
    return drawn.mutate(drawn=grouping_key(drawn.drawn))


def _drawn_units(counts: ir.Table) -> ir.Table:
    by_field = counts.filter(bit_of("by_field") == 1)
    units = by_field.select("unit", active=bit_of("active").cast("int8")).distinct()
    return units.mutate(n=ibis.literal(1, "int64"))


_DRAWN_UNITS: Final = GroupSums("drawn", ("unit",), _drawn_units, ("active",))
_DRAWN: Final = MergeableCounts("drawn", _drawn, ("drawn", "active"))
