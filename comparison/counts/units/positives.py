"""Count positive labels by unit: of a unit's positives, how many each side alarmed.

Positives are few, so that only their pairs are grouped. A pair without a unit stands for its
request.
"""

import ibis.expr.types as ir
from ibis import _

from comparison.counts.outputs.rows import ByOutput, OutputRows
from comparison.counts.tables import UnitPositives
from comparison.counts.units.alarms import UnitVolume, who_of
from comparison.engines.grouping import UNIT_POSITIVES
from comparison.engines.sources import PairSource
from comparison.pairs.sides import SIDES


def positives_by_unit(
    source: PairSource, rows: OutputRows, volume: UnitVolume
) -> dict[int, UnitPositives]:
    """Count the units with positives of each output that has labels; none without units."""
    if not rows.labelled or not volume.units:
        return {}
    rows = rows.among(rows.labelled)
    every = rows.every
    counts = rows.count(
        "positives",
        _positive,
        ("old", "who", "named", "hour"),
        {"n": "sum", **dict.fromkeys(SIDES, "sum")},
    )
    known = source.cached(volume.blocks_of(counts))
    blocks = _grouped(known, *every.key, "old", "who", "block")
    by_block = every.count(blocks, UNIT_POSITIVES)
    once = every.count(_grouped(known, *every.key, "old", "who"), UNIT_POSITIVES)
    effects = _design_effects(every, blocks.filter(_.old == 1))
    return {
        place: UnitPositives(by_block[place], once[place], effects[place]) for place in every.places
    }


def _positive(rows: OutputRows) -> ir.Table:
    pairs = rows.decided.filter(_.first_of_request & _.given)
    alarmed = {side: pairs[f"{side}_alarm"].cast("int64") for side in SIDES}
    return pairs.select(*rows.every.key, "old", **who_of(pairs), **alarmed)


def _grouped(known: ir.Table, *by: str) -> ir.Table:
    alarmed = {side: _[side].sum().cast("int64") for side in SIDES}
    return known.group_by(by).agg(positives=_.n.sum().cast("int64"), **alarmed)


def _design_effects(every: ByOutput, blocks: ir.Table) -> dict[int, float]:
    """Return by how much the differences of a unit's blocks vary more than independent ones.

    As that of flips (`units`), of each block's share alarmed by the candidate less the primary's.
    """
    gain = (_.candidate - _.primary).cast("float64") / _.positives.cast("float64")
    by_unit = (
        blocks.mutate(gain=gain)
        .group_by(*every.key, "who")
        .agg(total=_.gain.sum(), own=(_.gain * _.gain).sum())
    )
    return every.variance_ratios(by_unit)
