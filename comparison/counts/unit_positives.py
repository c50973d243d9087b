"""Count positive labels by unit: of a unit's positives, how many each side alarmed.

Positives are few, so that only their pairs are grouped. A pair without a unit stands for its
request.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.labelled import JoinedLabels
from comparison.counts.outputs import is_decided
from comparison.counts.tables import UnitPositives
from comparison.counts.units import UnitVolume
from comparison.engines.grouping import UNIT_POSITIVES, count_by, fetched
from comparison.pairs.columns import SIDES


def positives_by_unit(
    labels: JoinedLabels | None, step: ir.Table, output: str, place: int, volume: UnitVolume
) -> UnitPositives | None:
    """Count the units with positives of an output; None without labels of it, or without units."""
    if labels is None or place not in labels.columns or not volume.units:
        return None
    positive = labels.table.filter(_[labels.columns[place]])
    pairs = step.semi_join(positive, step.request_id == positive.label_request_id)
    pairs = pairs.filter(is_decided(pairs, output))
    block = ibis.literal(0, type="int64")
    if volume.block is not None:
        block = ibis.ifelse(pairs.unit.notnull(), pairs.time // volume.block, 0).cast("int64")
    rows = labels.to(
        pairs.select(
            "request_id",
            "time",
            who=pairs.unit.fill_null(pairs.request_id),
            block=block,
            **{side: pairs[f"{side}_decision.{output}"].cast("int64") for side in SIDES},
        )
    )
    known = rows.filter(_[f"known{place}"])
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
