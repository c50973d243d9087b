"""What the flag drew for a pair, and whether both answers differ for the caller (a flip)."""

from typing import Any, Final

import ibis
import ibis.expr.types as ir

from comparison.counts.outputs.columns import is_finite
from comparison.engines.sources import scored_outputs
from comparison.pairs.sides import SIDES
from flags.pairing.kinds.registry import equalities

_EXACT_COLUMNS: Final = tuple(f"primary_{each.exact}." for each in equalities())
"""Prefixes of columns whose values differ exactly if the answers differ for the caller."""

EACH_REQUEST: Final = ("requestId", "random")
"""Values of stickiness with which the flag draws each request by itself."""


def is_drawn_by_request(pairs: ir.Table) -> Any:
    """Return whether the flag drew the request of a pair by itself."""
    if "stickiness" not in pairs.columns:
        return ibis.literal(True)
    return pairs.stickiness.isnull() | pairs.stickiness.isin(EACH_REQUEST)


def drawn_unit(pairs: ir.Table, by_request: Any) -> Any:
    """Return what the flag drew for a pair: the value it is sticky on, else the request."""
    found = [pairs[name] for name in ("drawn", "unit", "request_id") if name in pairs.columns]
    return ibis.ifelse(by_request, pairs.request_id, ibis.coalesce(*found))


def flip_of(pairs: ir.Table) -> Any:
    """Return 1 if the sides' answers differ for the caller, 0 if not, missing if unknown.

    They differ by a decision, without decisions by a score, or by the digest of the answer. If only
    one side answered: a failed candidate is replaced by the primary, so both arms get the same
    answer; a failed primary is not replaced.
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
        if name.startswith(_EXACT_COLUMNS) and other in pairs.columns:
            yield pairs[name] != pairs[other]
    digests = [f"{side}_digest" for side in SIDES]
    if all(name in pairs.columns for name in digests):
        yield pairs[digests[0]] != pairs[digests[1]]
