"""Count alarms by unit: one unit counts once per block of time, however many requests it sends.

A pair without a unit stands for its request, and a request that was sent again counts once. Only
pairs with an alarm are grouped: a unit without one is in the fourth cell whatever it sends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.counted_window import CountedWindow
from comparison.counts.flip_clusters import MINUTES, clustering
from comparison.counts.output_rows import OUTPUT, ByOutput, OutputRows
from comparison.counts.segments import (
    SEGMENT_CODE,
    count_by_segment,
    rows_by_segment,
    segments_of,
)
from comparison.counts.tables import UnitAggregates
from comparison.counts.unit_failures import UNITS, is_drawn_by_field
from comparison.engines.grouping import CELLS, HOUR, HOUR_CELLS, MINUTE, SEGMENT_CELLS, empty
from comparison.engines.mergeable import MergeableCounts
from comparison.engines.sources import PairSource
from comparison.pairs.columns import SIDES

BLOCKS: Final = (HOUR, 4 * HOUR, 24 * HOUR)
"""Lengths of a block in nanoseconds; with few requests a unit, the whole window is one."""

PER_BLOCK: Final = 10
"""Requests of a unit in a block, about: more hide a change, fewer take a burst for several."""

_SIDES: Final = {f"{side}_alarm": _[f"{side}_alarm"] == 1 for side in SIDES}


@dataclass(frozen=True, slots=True)
class UnitVolume:
    """Say how many requests the units of a window sent."""

    units: int
    requests: int
    span: int
    """Nanoseconds from the first to the last pair."""

    @classmethod
    def of(cls, units: ir.Table | None, span: int) -> "UnitVolume":
        """Add up the units of `comparison.counts.unit_failures`; None: there is no column."""
        if units is None:
            return cls(0, 0, 0)
        [row] = units.agg(units=_.count(), n=_.n.sum()).to_pyarrow().to_pylist()
        return cls(int(row["units"]), int(row["n"] or 0), span)

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
    """Return whose a pair is, its unit or else its request; whether it is a unit; the hour."""
    unit = pairs.unit if "unit" in pairs.columns else ibis.null("string")
    return {
        "who": ibis.coalesce(unit, pairs.request_id),
        "named": unit.notnull(),
        "hour": pairs.time - pairs.time % HOUR,
    }


def alarms_by_unit(
    source: PairSource, rows: OutputRows, volume: UnitVolume, quiet: Mapping[int, bool]
) -> dict[int, UnitAggregates]:
    """Count the units for the outputs of which `quiet` says something.

    Where one is quiet, because most pairs are alarms of the primary, to have none is counted.
    """
    if not quiet:
        return {}
    rows = rows.among(tuple(quiet))
    every, segments = rows.every, segments_of(rows.table)
    silent = tuple(place for place, is_quiet in quiet.items() if is_quiet)
    counts = rows.count(
        "alarmed",
        lambda every: _alarmed(every, segments, silent),
        ("who", "named", "hour", *segments),
        dict.fromkeys(CELLS, "largest"),
        (silent,),
    )
    alarmed = source.kept(volume.blocks_of(counts))
    has_units = bool(volume.units)
    blocks, hours = (_once(alarmed, *every.key, "who", name) for name in ("block", "hour"))
    by_block = every.count(blocks, CELLS, **_SIDES)
    once = by_block
    if has_units and volume.block is not None:
        once = every.count(_once(alarmed, *every.key, "who"), CELLS, **_SIDES)
    if has_units:
        effects = _design_effects(every, blocks) if volume.block is not None else {}
        hours_effects = _design_effects(every, hours)
    else:
        effects = hours_effects = _flip_clustering(rows)
    by_segment = _by_segment(every, alarmed, segments)
    by_hour = every.count(hours, HOUR_CELLS, period=_.hour, **_SIDES)
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


def _once(alarmed: ir.Table, *by: str) -> ir.Table:
    """Take each unit once: it was alarmed by a side if it was so at least once."""
    sides = {f"{side}_alarm": _[f"{side}_alarm"].max() for side in SIDES}
    return alarmed.group_by(by).agg(**sides)


def _by_segment(every: ByOutput, alarmed: ir.Table, segments: list[str]) -> dict[int, pd.DataFrame]:
    """Count each unit once per block and value of a segment."""
    if not segments:
        return {place: empty(SEGMENT_CELLS) for place in every.places}
    units = _once(
        rows_by_segment(alarmed, segments), *every.key, "who", "block", SEGMENT_CODE, "value"
    )
    return count_by_segment(every, units, segments, SEGMENT_CELLS, **_SIDES)


def _design_effects(every: ByOutput, blocks: ir.Table) -> dict[int, float]:
    """Return by how much flips of the same unit in different blocks vary more than independent.

    The variance of the sum of a unit's flips (candidate's alarm less primary's) over the sum of
    their variances (Kish, "Survey Sampling", 1965, 5.4): 1 if blocks are independent.
    """
    flip = _.candidate_alarm.cast("int32") - _.primary_alarm.cast("int32")
    by_unit = (
        blocks.mutate(flip=flip)
        .group_by(*every.key, "who")
        .agg(total=_.flip.sum().cast("float64"), own=(_.flip * _.flip).sum().cast("float64"))
    )
    return every.variance_ratios(by_unit)


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
        units = window.of_step(_DRAWN)
    else:  # then it is the unit, by which pairs are counted as well
        units = window.of_step(UNITS).filter(_.by_field == 1).select("unit", "active").distinct()
    rows = units.group_by("active").agg(n=_.count()).to_pyarrow().to_pylist()
    counts = {row["active"]: int(row["n"]) for row in rows}
    total = sum(counts.values())
    return (counts.get("candidate", 0), total) if total else None


def _drawn(pairs: ir.Table) -> ir.Table:
    by_field = pairs.filter(is_drawn_by_field(pairs))
    columns = [by_field[name] for name in ("drawn", "unit") if name in pairs.columns]
    return by_field.select("active", drawn=ibis.coalesce(*columns)).filter(_.drawn.notnull())


_DRAWN: Final = MergeableCounts("drawn", _drawn, ("drawn", "active"))
