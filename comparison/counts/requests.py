"""From pairs to requests: one that was sent again has several pairs."""

import ibis.expr.types as ir
from ibis import _

from comparison.engines.sources import PairSource


def requests_of(source: PairSource, pairs: ir.Table) -> ir.Table:
    """Reduce pairs to requests: a retry has the arm, and the flip, of all of its pairs.

    `pairs` have request_id, unit, rollout, time, arm and flip. Only what repeats is grouped: nearly
    all requests have one pair.
    """
    once = pairs.select(
        "request_id", "unit", "rollout", first=_.time, low=_.arm, high=_.arm, flip=_.flip
    )
    repeats = repeated_requests(source, pairs)
    if not repeats.count().to_pyarrow().as_py():
        return once
    again = (
        pairs.semi_join(repeats, "request_id")
        .group_by("request_id")
        .agg(
            unit=_.unit.min(),
            rollout=_.rollout.min(),
            first=_.time.min(),
            low=_.arm.min(),
            high=_.arm.max(),
            flip=_.flip.max(),
        )
    )
    return once.anti_join(repeats, "request_id").union(again.select(*once.columns))


def repeated_requests(source: PairSource, pairs: ir.Table) -> ir.Table:
    """Return the requests with several pairs: request_id, first (time), again (how many more)."""
    known = pairs.filter(_.request_id.notnull()).group_by("request_id")
    several = known.agg(first=_.time.min(), n=_.count()).filter(_.n > 1)
    return source.kept(several.select("request_id", "first", again=_.n - 1))
