"""Count alarms by unit: one unit counts once per block of time, however many requests it sends.

A pair without a unit stands for its request, and a request that was sent again counts once. Only
pairs with an alarm are grouped: a unit without one is in the fourth cell whatever it sends.
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
from comparison.counts.units.flip_clusters import MINUTES, clustering
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
"""Lengths of a block in nanoseconds; with few requests a unit, the whole window is one."""

PER_BLOCK: Final = 10
"""Requests of a unit in a block, about: more hide a change, fewer take a burst for several."""


@dataclass(frozen=True, slots=True)
class UnitVolume:
    """Say how many requests the units of a window sent."""

    units: int
    requests: int
    span: int
    """Nanoseconds from the first to the last pair."""

    @classmethod
    def of(cls, units: pd.DataFrame | None, span: int) -> "UnitVolume":
        """Add up the units of `comparison.counts.units.failures`; None: there is no column."""
        if units is None:
            return cls(0, 0, 0)
        return cls(int(units["units"].sum()), int(units["requests"].sum()), span)

    @property
    def block(self) -> int | None:
        """Return the length of a block in nanoseconds, None where the window is one.

        The longest in which a unit has at most `PER_BLOCK` requests on average, else the shortest.
        """
        if not self.units or self.requests <= PER_BLOCK * self.units:
            return None
        per_hour = self.requests / self.units / max(1.0, self.span / HOUR)
        fitting = [each for each in BLOCKS if per_hour * each / HOUR <= PER_BLOCK]
        return max(fitting, default=BLOCKS[0])

    def blocks_of(self, hours: ir.Table) -> ir.Table:
        """Add to rows with `hour` and `named` the block of time in which a unit counts once."""
        if self.block is None:
            return hours.mutate(block=ibis.literal(0, type="int64"))
        block = ibis.ifelse(hours.named == 1, hours.hour // self.block, 0)
        return hours.mutate(block=block.cast("int64"))


def who_of(pairs: ir.Table) -> dict[str, Any]:
    """Return `who` (unit, else request), `named` (whether that is a unit) and `hour` of pairs."""
    unit = pairs.unit if "unit" in pairs.columns else ibis.null("string")
    return {
        "who": ibis.coalesce(unit, pairs.request_id),
        "named": unit.notnull(),
        "hour": pairs.time - pairs.time % HOUR,
    }


def alarms_by_unit(
    source: PairSource, rows: OutputRows, volume: UnitVolume, quiet: Mapping[int, bool]
) -> dict[int, UnitAggregates]:
    """Count units by alarm, for the outputs at the places that are keys of `quiet`.

    Where one is quiet, because most pairs are alarms of the primary, to have none is counted.
    """
    if not quiet:
        return {}
    rows = rows.among(tuple(quiet))
    every, segments = rows.every, segments_of(rows.table)
    silent = tuple(place for place, is_quiet in quiet.items() if is_quiet)
    asked = _UnitSums(every, segments, volume).asked()
    tables = _summed(source, rows, segments, silent, asked)
    by_block = every.fetched(tables["blocks"], CELLS)
    once = every.fetched(tables["once"], CELLS) if "once" in tables else by_block
    by_hour = every.fetched(tables["hours"], HOUR_CELLS)
    by_segment = (
        fetched_by_segment(every, tables["segments"], segments, SEGMENT_CELLS)
        if segments
        else {place: empty(SEGMENT_CELLS) for place in every.places}
    )
    if volume.units:
        effects = every.ratios(tables["effects"]) if "effects" in tables else {}
        hours_effects = every.ratios(tables["hours_effects"])
    else:
        effects = hours_effects = _flip_clustering(rows)
    return {
        place: UnitAggregates(
            units=volume.units,
            requests=volume.requests,
            block=volume.block,
            blocks=by_block[place],
            once=once[place],
            segments=by_segment[place],
            design_effect=effects.get(place, 1.0),
            hours=by_hour[place],
            hours_effect=hours_effects[place],
            is_quiet=is_quiet,
        )
        for place, is_quiet in quiet.items()
    }


def _summed(
    source: PairSource,
    rows: OutputRows,
    segments: Sequence[str],
    silent: tuple[int, ...],
    asked: Mapping[str, GroupSums],
) -> dict[str, ir.Table]:
    """Add up over units what `asked` names; of the outputs at `silent` places, having no alarm."""

    def counted(groups: GroupSums | None) -> ir.Table:
        return rows.count(
            "alarmed",
            lambda every: _alarmed(every, segments, silent),
            ("who", "named", "hour", *segments),
            dict.fromkeys(CELLS, "largest"),
            (silent,),
            groups=groups,
        )

    hold = source.cached if rows.counted is None else None
    return dict(zip(asked, group_sums(counted, list(asked.values()), hold), strict=True))


def _alarmed(rows: OutputRows, segments: Sequence[str], quiet: Sequence[int]) -> ir.Table:
    """Return the rows with an alarm, of whichever side; of quiet outputs, those without one."""
    alarm = {name: _[name] for name in CELLS}
    if len(quiet) == len(rows.every.places):
        alarm = {name: ~said for name, said in alarm.items()}
    elif quiet:
        is_quiet = _[OUTPUT].isin(quiet)
        alarm = {name: ibis.ifelse(is_quiet, ~said, said) for name, said in alarm.items()}
    found = rows.decided.filter(ibis.or_(*alarm.values()))
    said = {name: each.cast("int8") for name, each in alarm.items()}
    return found.select(*rows.every.key, *segments, **who_of(found), **said)


@dataclass(frozen=True, slots=True)
class _UnitSums:
    """The sums over units of the rows that `_alarmed` returns."""

    every: ByOutput
    segments: Sequence[str]
    volume: UnitVolume

    def asked(self) -> dict[str, GroupSums]:
        """Return all sums that these units and segments give reason for, by name."""
        has_units = bool(self.volume.units)
        asked = {"blocks": self.cells("block"), "hours": self.cells("hour", HOUR_CELLS)}
        if self.segments:
            asked["segments"] = self.segment_cells()
        if has_units and self.volume.block is not None:
            asked |= {"once": self.cells(), "effects": self.effects("block")}
        if has_units:
            asked["hours_effects"] = self.effects("hour")
        return asked

    def cells(self, block: str | None = None, dtypes: Dtypes = CELLS) -> GroupSums:
        """Count each unit once, or once in each block, or hour, by what both sides said."""
        once = ["who", *([block] if block else [])]

        def rows(counts: ir.Table) -> ir.Table:
            found = self._once(self.volume.blocks_of(counts), *once)
            period = {"period": _.hour} if "period" in dtypes else {}
            return self._said(found, **period)

        return self._sums(f"cells.{block}", rows, (*self.every.key, *dtypes))

    def segment_cells(self) -> GroupSums:
        """Count each unit once per block and value of a segment."""

        def rows(counts: ir.Table) -> ir.Table:
            by_segment = rows_by_segment(self.volume.blocks_of(counts), self.segments)
            found = self._once(by_segment, "who", "block", SEGMENT_CODE, "value")
            return self._said(found, **{name: _[name] for name in (SEGMENT_CODE, "value")})

        by = (*self.every.key, SEGMENT_CODE, *(x for x in SEGMENT_CELLS if x != "segment"))
        return self._sums("segments", rows, by)

    def effects(self, block: str) -> GroupSums:
        """Say by how much flips of the same unit in different blocks vary more than independent.

        The variance of the sum of a unit's flips (candidate's alarm less primary's) over the sum of
        their variances (Kish, "Survey Sampling", 1965, 5.4): 1 if blocks are independent.
        """
        flip = _.candidate_alarm.cast("int32") - _.primary_alarm.cast("int32")

        def rows(counts: ir.Table) -> ir.Table:
            once = self._once(self.volume.blocks_of(counts), "who", block).mutate(flip=flip)
            by_unit = once.group_by(*self.every.key, "who").agg(
                total=_.flip.sum().cast("int64"), own=(_.flip * _.flip).sum().cast("int64")
            )
            return by_unit.select(*self.every.key, between=_.total * _.total, within=_.own)

        return self._sums(f"effects.{block}", rows, self.every.key, ("between", "within"))

    def _once(self, counts: ir.Table, *by: str) -> ir.Table:
        """Take each unit once: it was alarmed by a side if it was so at least once."""
        sides = {f"{side}_alarm": _[f"{side}_alarm"].max() for side in SIDES}
        return counts.group_by(*self.every.key, *by).agg(**sides)

    def _said(self, once: ir.Table, **others: Any) -> ir.Table:
        return once.select(*self.every.key, *CELLS, n=ibis.literal(1, "int64"), **others)

    def _sums(
        self,
        name: str,
        rows: Callable[[ir.Table], ir.Table],
        by: Sequence[str],
        measures: Sequence[str] = ("n",),
    ) -> GroupSums:
        return GroupSums(name, ("who",), rows, by, measures, (self.volume.block,))


def _flip_clustering(rows: OutputRows) -> dict[int, float]:
    """Return, in the place of design effects, how flips cluster in minutes."""
    every = rows.every

    def decided(each: OutputRows) -> ir.Table:
        flips = (_.primary_alarm != _.candidate_alarm).cast("int64")
        return each.decided.select(*every.key, minute=_.time // MINUTE, flips=flips)

    minutes = rows.count("minutes", decided, ("minute",), {"flips": "sum", "n": "sum"})
    return {place: clustering(table) for place, table in every.fetched(minutes, MINUTES).items()}


def drawn_counts(window: CountedWindow, recorded: Mapping[str, int]) -> tuple[int, int] | None:
    """Return (given to the candidate, all) of the units that the flag drew in the step.

    None where it draws requests, or no pair says what it draws.
    """
    if "stickiness" not in window.columns or not {"unit", "drawn"} & set(window.columns):
        return None
    if recorded.get("drawn"):
        units = window.of_step(_DRAWN).group_by("active").agg(n=_.count())
    else:  # then it is the unit, by which pairs are counted as well
        units = window.of_step(replace(UNITS, groups=_DRAWN_UNITS))
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
