"""What the flag drew a pair for, and whether it made a difference to the caller who answered."""

from typing import Any, Final

import ibis
import ibis.expr.types as ir

from comparison.counts.outputs.columns import is_finite
from comparison.engines.sources import scored_outputs
from comparison.pairs.sides import SIDES
from flags.pairing.kinds.registry import samenesses

_WORDS: Final = tuple(f"primary_{each.exact}." for each in samenesses())
"""Columns of what differs for the caller where the words differ."""

EACH_REQUEST: Final = ("requestId", "random")
"""Stickiness by which each request is drawn for itself."""


def is_drawn_by_request(pairs: ir.Table) -> Any:
    """Say of a pair that the flag drew its request for itself."""
    if "stickiness" not in pairs.columns:
        return ibis.literal(True)
    return pairs.stickiness.isnull() | pairs.stickiness.isin(EACH_REQUEST)


def drawn_unit(pairs: ir.Table, by_request: Any) -> Any:
    """Return what the flag drew of a pair: what it is sticky on, else the request."""
    found = [pairs[name] for name in ("drawn", "unit", "request_id") if name in pairs.columns]
    return ibis.ifelse(by_request, pairs.request_id, ibis.coalesce(*found))


def flip_of(pairs: ir.Table) -> Any:
    """Return 1 where the sides' answers differ for the caller, 0 where not, else missing.

    They differ by a decision, else by a score, or by the digest of what was sent. Where only one
    side answered: a candidate that failed is replaced by the primary, so that both arms get the
    same; a primary that failed is not.
    """
    differences = list(_differences(pairs))
    status = {side: pairs[f"{side}_status"] for side in SIDES}
    answered = {side: each == "ok" for side, each in status.items()}
    failed = {side: each.isin(("error", "timeout")) for side, each in status.items()}
    differ: Any = ibis.null("int64")
    if differences:
        known = ibis.or_(*(each.notnull() for each in differences))
        some = ibis.or_(*(each.fill_null(False) for each in differences))
        differ = ibis.ifelse(known, ibis.ifelse(some, 1, 0), None)
    return ibis.cases(
        (answered["primary"] & answered["candidate"], differ),
        (answered["primary"] & failed["candidate"], 0),
        (failed["primary"] & answered["candidate"], 1),
        (failed["primary"] & failed["candidate"], 0),
        else_=ibis.null("int64"),
    ).cast("int64")


def _differences(pairs: ir.Table) -> Any:
    for output in scored_outputs(pairs.columns):
        scores = [
            pairs[f"{side}_score.{output}"]
            for side in SIDES
            if f"{side}_score.{output}" in pairs.columns
        ]
        if len(scores) < len(SIDES):
            continue
        finite = is_finite(scores[0]) & is_finite(scores[1])
        by_score = ibis.ifelse(finite, scores[0] != scores[1], None)
        names = [f"{side}_decision.{output}" for side in SIDES]
        if all(name in pairs.columns for name in names):
            primary, candidate = (pairs[name] for name in names)
            yield ibis.coalesce(primary != candidate, by_score)
        else:
            yield by_score
    for name in pairs.columns:
        other = name.replace("primary_", "candidate_", 1)
        if name.startswith(_WORDS) and other in pairs.columns:
            yield pairs[name] != pairs[other]
    digests = [f"{side}_digest" for side in SIDES]
    if all(name in pairs.columns for name in digests):
        yield pairs[digests[0]] != pairs[digests[1]]
