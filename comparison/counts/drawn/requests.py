"""Reduce pairs to requests: a request that was sent again has several pairs."""

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from comparison.engines.grouping import row_count
from comparison.engines.id_hashes import IdHashes, can_hash, hash_of
from comparison.engines.sources import PairSource


def requests_of(pairs: ir.Table, repeats: ir.Table | None) -> ir.Table:
    """Reduce pairs to requests; a repeated request combines the arms and flips of its pairs.

    `pairs` has request_id, unit, rollout, time, arm and flip, and maybe `value`, which is the same
    in all pairs of a request. `repeats` is the result of `repeated_requests` for these pairs or
    more. Only repeated requests are grouped: nearly all requests have one pair.
    """
    value = {"value": _["value"]} if "value" in pairs.columns else {}
    once = pairs.select(
        "request_id", "unit", "rollout", first=_.time, low=_.arm, high=_.arm, flip=_.flip, **value
    )
    if repeats is None:
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
            **{name: column.max() for name, column in value.items()},
        )
    )
    return once.anti_join(repeats, "request_id").union(again.select(*once.columns))


def repeated_requests(
    source: PairSource, pairs: ir.Table, known: IdHashes | None = None
) -> ir.Table | None:
    """Return the requests with several pairs: request_id, first (time), again (how many more).

    None if there are none. If the engine can hash, only ids with a repeated hash are grouped;
    `known` has the hashes, if they exist already.
    """
    if known is None and can_hash(pairs):
        known = IdHashes.of(pairs.get_backend(), pairs, "request_id")
    if known is not None:
        if not len(known.repeated):
            return None
        again = ibis.memtable(pa.table({"hash": known.repeated}))
        pairs = pairs.semi_join(again, hash_of(pairs.request_id) == again["hash"])
    grouped = pairs.filter(_.request_id.notnull()).group_by("request_id")
    several = grouped.agg(first=_.time.min(), n=_.count()).filter(_.n > 1)
    found = source.cached(several.select("request_id", "first", again=_.n - 1))
    return found if row_count(found) else None
