"""Count positive labels by unit: of a unit's positives, how many each side alarmed.

Positives are few, so that only their pairs are grouped. A pair without a unit stands for its
request.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.labelled import known_label
from comparison.counts.outputs import OutputPlace
from comparison.counts.tables import UnitPositives
from comparison.counts.units import UnitVolume
from comparison.engines.grouping import UNIT_POSITIVES, count_by, fetched
from comparison.engines.sources import PairSource
from comparison.pairs.columns import SIDES


def positives_by_unit(
    source: PairSource, output: OutputPlace, label: str | None, volume: UnitVolume
) -> UnitPositives | None:
    """Count the units with positives of an output; None without labels of it, or without units."""
    if label is None or not volume.units:
        return None
    pairs = output.pairs.filter(known_label(label), output.is_decided)
    block = ibis.literal(0, type="int64")
    if volume.block is not None:
        block = ibis.ifelse(pairs.unit.notnull(), pairs.time // volume.block, 0).cast("int64")
    known = source.kept(
        pairs.select(
            "old",
            who=pairs.unit.fill_null(pairs.request_id),
            block=block,
            **{side: output.said(side).cast("int64") for side in SIDES},
        )
    )
    blocks = _grouped(known, "old", "who", "block")
    return UnitPositives(
        blocks=fetched(_counted(blocks), UNIT_POSITIVES),
        once=fetched(_counted(_grouped(known, "old", "who")), UNIT_POSITIVES),
        design_effect=_design_effect(blocks.filter(_.old)),
    )


def _grouped(known: ir.Table, *by: str) -> ir.Table:
    alarmed = {side: _[side].sum().cast("int64") for side in SIDES}
    return known.group_by(by).agg(positives=_.count(), **alarmed)


def _counted(units: ir.Table) -> ir.Table:
    return count_by(units, **{name: _[name] for name in UNIT_POSITIVES})


def _design_effect(blocks: ir.Table) -> float:
    """Return by how much the differences of a unit's blocks vary more than independent ones.

    As that of flips (`units`), of each block's share alarmed by the candidate less the primary's.
    """
    gain = (_.candidate - _.primary).cast("float64") / _.positives.cast("float64")
    by_unit = (
        blocks.mutate(gain=gain)
        .group_by("who")
        .agg(total=_.gain.sum(), own=(_.gain * _.gain).sum())
    )
    sums = by_unit.agg(between=(_.total * _.total).sum(), within=_.own.sum())
    [row] = sums.to_pyarrow().to_pylist()
    return float(row["between"]) / float(row["within"]) if row["within"] else 1.0
