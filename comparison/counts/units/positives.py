"""Count positive labels by unit: how many positives a unit has, and how many each side alarmed.

Positives are few, so only their pairs are grouped. The request of a pair without a unit counts as a
unit. If no pair names a unit, each minute counts as one: alike requests may be of one customer.
"""

from typing import Any

import ibis.expr.types as ir
from ibis import _

from comparison.counts.outputs.rows import ByOutput, OutputRows
from comparison.counts.tables import UnitPositives
from comparison.counts.units.alarms import UnitVolume, unit_columns
from comparison.engines.grouping import MINUTE, UNIT_POSITIVES
from comparison.engines.sources import PairSource
from comparison.pairs.sides import SIDES


def positives_by_unit(
    source: PairSource, rows: OutputRows, volume: UnitVolume
) -> dict[int, UnitPositives]:
    """Count the units with positives of each output that has labels."""
    if not rows.labelled:
        return {}
    rows, has_units = rows.of_outputs(rows.labelled), bool(volume.units)
    outputs = rows.outputs
    counts = rows.count(
        "positives",
        lambda each: _positive(each, has_units=has_units),
        ("old", "who", "named", "hour"),
        {"n": "sum", **dict.fromkeys(SIDES, "sum")},
        (has_units,),
    )
    cached = source.cached(volume.blocks_of(counts))
    blocks = _positives_by(cached, *outputs.key, "old", "who", "block")
    by_block = outputs.count(blocks, UNIT_POSITIVES)
    once = outputs.count(_positives_by(cached, *outputs.key, "old", "who"), UNIT_POSITIVES)
    effects = _design_effects(outputs, blocks.filter(_.old == 1))
    return {
        place: UnitPositives(by_block[place], once[place], effects[place], has_units)
        for place in outputs.places
    }


def _positive(rows: OutputRows, *, has_units: bool) -> ir.Table:
    """Return one row for each request with a positive label: unit or minute, and both alarms."""
    pairs = rows.decided.filter(_.first_of_request & _.given)
    alarmed = {side: pairs[f"{side}_alarm"].cast("int64") for side in SIDES}
    who: dict[str, Any] = unit_columns(pairs)
    if not has_units:
        who["who"] = (pairs.time // MINUTE).cast("int64").cast("string")
    return pairs.select(*rows.outputs.key, "old", **who, **alarmed)


def _positives_by(counts: ir.Table, *by: str) -> ir.Table:
    """Sum the positives, and how many of them each side alarmed, by columns."""
    alarmed = {side: _[side].sum().cast("int64") for side in SIDES}
    return counts.group_by(by).agg(positives=_.n.sum().cast("int64"), **alarmed)


def _design_effects(outputs: ByOutput, blocks: ir.Table) -> dict[int, float]:
    """Return, by output, the design effect of the recall differences in the blocks of a unit.

    It is that of `_UnitSums.effects` in `comparison.counts.units.alarms`, where a block's flip is
    replaced by the share of its positives that the candidate alarmed, minus the primary's share.
    """
    gain = (_.candidate - _.primary).cast("float64") / _.positives.cast("float64")
    by_unit = (
        blocks.mutate(gain=gain)
        .group_by(*outputs.key, "who")
        .agg(total=_.gain.sum(), own=(_.gain * _.gain).sum())
    )
    return outputs.variance_ratios(by_unit)
