"""Count alarms by unit: one unit counts once per block of time, however many requests it sends.

A pair without a unit stands for its request, and a request that was sent again counts once. Only
pairs with an alarm are grouped: a unit without one is in the fourth cell whatever it sends.
"""

from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.flip_clusters import flip_clustering
from comparison.counts.outputs import SEGMENT, OutputPlace
from comparison.counts.tables import UnitAggregates
from comparison.engines.grouping import (
    CELLS,
    HOUR,
    HOUR_CELLS,
    SEGMENT_CELLS,
    count_by,
    fetched,
    stacked,
)
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
    def of(cls, units: ir.Table | None) -> "UnitVolume":
        """Add up the units of `comparison.counts.unit_failures`; None: there is no column."""
        if units is None:
            return cls(0, 0, 0)
        [row] = (
            units.agg(units=_.count(), n=_.n.sum(), first=_["first"].min(), last=_["last"].max())
            .to_pyarrow()
            .to_pylist()
        )
        requests = int(row["n"] or 0)
        return cls(int(row["units"]), requests, int((row["last"] or 0) - (row["first"] or 0)))

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


def alarms_by_unit(
    source: PairSource, output: OutputPlace, volume: UnitVolume, *, is_quiet: bool
) -> UnitAggregates:
    """Count the units of prepared pairs.

    Where it `is_quiet`, because most pairs are alarms of the primary, to have none is counted.
    """
    alarm = {side: output.said(side) for side in SIDES}
    if is_quiet:
        alarm = {side: ~decision for side, decision in alarm.items()}
    step = output.pairs
    rows = step.filter(output.is_decided & (alarm["primary"] | alarm["candidate"]))
    has_units = bool(volume.units)
    who = rows.unit.fill_null(rows.request_id) if has_units else rows.request_id
    block = ibis.literal(0, type="int64")
    if has_units and volume.block is not None:
        block = ibis.ifelse(rows.unit.notnull(), rows.time // volume.block, 0).cast("int64")
    segments = sorted(name for name in step.columns if name.startswith(SEGMENT))
    alarmed = source.kept(
        rows.select(
            who=who,
            named=rows.unit.notnull() if has_units else ibis.literal(False),
            block=block,
            hour=rows.time - rows.time % HOUR,
            **{f"{side}_alarm": alarm[side].cast("int8") for side in SIDES},
            **{name: rows[name] for name in segments},
        )
    )
    blocks, hours = _once(alarmed, "who", "block"), _once(alarmed, "who", "hour")
    by_block = _cells(blocks)
    effect, once = 1.0, by_block
    if not has_units:
        flips = alarm["primary"] != alarm["candidate"]
        effect = flip_clustering(output.decided, flips)
    elif volume.block is not None:
        effect = _design_effect(blocks)
        once = _cells(_once(alarmed, "who"))
    return UnitAggregates(
        units=volume.units,
        requests=volume.requests,
        block=volume.block,
        blocks=by_block,
        once=once,
        segments=_by_segment(alarmed, segments),
        design_effect=effect,
        hours=fetched(count_by(hours, period=_.hour, **_SIDES), HOUR_CELLS),
        hours_effect=_design_effect(hours) if has_units else effect,
        is_quiet=is_quiet,
    )


def _once(alarmed: ir.Table, *by: str) -> ir.Table:
    """Take each unit once: it was alarmed by a side if it was so at least once."""
    sides = {f"{side}_alarm": _[f"{side}_alarm"].max() for side in SIDES}
    return alarmed.group_by(by).agg(**sides)


def _cells(units: ir.Table) -> pd.DataFrame:
    return fetched(count_by(units, **_SIDES), CELLS)


def _by_segment(alarmed: ir.Table, segments: list[str]) -> pd.DataFrame:
    """Count each unit once per block and value of a segment."""
    tables = []
    for name in segments:
        units = _once(alarmed.mutate(value=alarmed[name]), "who", "block", "value")
        table = fetched(count_by(units, value=_.value, **_SIDES), SEGMENT_CELLS)
        segment = pd.array([name.removeprefix(SEGMENT)] * len(table), dtype="string")
        tables.append(table.assign(segment=segment))
    return stacked(tables, SEGMENT_CELLS)


def _design_effect(blocks: ir.Table) -> float:
    """Return by how much flips of the same unit in different blocks vary more than independent.

    The variance of the sum of a unit's flips (candidate's alarm less primary's) over the sum of
    their variances (Kish, "Survey Sampling", 1965, 5.4): 1 if blocks are independent.
    """
    flip = _.candidate_alarm.cast("int32") - _.primary_alarm.cast("int32")
    by_unit = (
        blocks.mutate(flip=flip)
        .group_by("who")
        .agg(total=_.flip.sum().cast("float64"), own=(_.flip * _.flip).sum().cast("float64"))
    )
    [row] = (
        by_unit.agg(between=(_.total * _.total).sum(), within=_.own.sum()).to_pyarrow().to_pylist()
    )
    if not row["within"]:
        return 1.0
    return float(row["between"]) / float(row["within"])


def drawn_units(units: ir.Table) -> tuple[int, int] | None:
    """Return what `drawn_counts` does where the flag draws nothing but the pairs' units."""
    given = [name for name in units.columns if name.startswith("to_")]
    if not given:
        return None
    [row] = units.agg(**{name: _[name].sum() for name in given}).to_pyarrow().to_pylist()
    total = sum(int(n or 0) for n in row.values())
    return (int(row["to_candidate"] or 0), total) if total else None


def drawn_counts(step: ir.Table) -> tuple[int, int] | None:
    """Return (given to the candidate, all) of the units that the flag drew.

    None where it draws requests, or no pair says what it draws.
    """
    if "stickiness" not in step.columns or not {"unit", "drawn"} & set(step.columns):
        return None
    by_field = step.filter(step.stickiness.notnull(), step.stickiness != "requestId")
    columns = [by_field[name] for name in ("drawn", "unit") if name in step.columns]
    drawn = ibis.coalesce(*columns)
    units = by_field.select(drawn=drawn, active=by_field.active).filter(_.drawn.notnull())
    rows = units.distinct().group_by("active").agg(n=_.count()).to_pyarrow().to_pylist()
    counts = {row["active"]: int(row["n"]) for row in rows}
    total = sum(counts.values())
    return (counts.get("candidate", 0), total) if total else None
