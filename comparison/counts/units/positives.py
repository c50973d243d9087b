"""Count positive labels by unit: how many positives a unit has, and how many each side alarmed.

Positives are few, so that only their pairs are grouped. A pair without a unit stands for its
request; where no pair names one, for its minute, since alike requests may be of one customer.
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
    known = source.cached(volume.blocks_of(counts))
    blocks = _grouped(known, *outputs.key, "old", "who", "block")
    by_block = outputs.count(blocks, UNIT_POSITIVES)
    once = outputs.count(_grouped(known, *outputs.key, "old", "who"), UNIT_POSITIVES)
    effects = _design_effects(outputs, blocks.filter(_.old == 1))
    return {
        place: UnitPositives(by_block[place], once[place], effects[place], has_units)
        for place in outputs.places
    }


def _positive(rows: OutputRows, *, has_units: bool) -> ir.Table:
    pairs = rows.decided.filter(_.first_of_request & _.given)
    alarmed = {side: pairs[f"{side}_alarm"].cast("int64") for side in SIDES}
    who: dict[str, Any] = unit_columns(pairs)
    if not has_units:
        who["who"] = (pairs.time // MINUTE).cast("int64").cast("string")
    return pairs.select(*rows.outputs.key, "old", **who, **alarmed)


def _grouped(known: ir.Table, *by: str) -> ir.Table:
    alarmed = {side: _[side].sum().cast("int64") for side in SIDES}
    return known.group_by(by).agg(positives=_.n.sum().cast("int64"), **alarmed)


def _design_effects(outputs: ByOutput, blocks: ir.Table) -> dict[int, float]:
    """Return the design effects of the recall differences of a unit's blocks.

    As for flips (`comparison.counts.units.alarms`), but of each block's share of positives that the
    candidate alarmed, minus the primary's.
    """
    gain = (_.candidate - _.primary).cast("float64") / _.positives.cast("float64")
    by_unit = (
        blocks.mutate(gain=gain)
        .group_by(*outputs.key, "who")
        .agg(total=_.gain.sum(), own=(_.gain * _.gain).sum())
    )
    return outputs.variance_ratios(by_unit)
