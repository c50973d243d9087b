"""Checks that no pairs are lost: by their numbers, and at the ends of the workers' records."""

from collections.abc import Iterator, Sequence

from flags.gate.evidence import Evidence, OpenEnd
from flags.gate.number_format import percent, plural
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome
from flags.playbook.advance_limits import AdvanceLimits


def loss_checks(evidence: Evidence, limits: AdvanceLimits) -> Iterator[Check]:
    """Yield the checks of the pairs' numbers and of the workers' ends."""
    yield _completeness(evidence, limits)
    yield _worker_ends(evidence, limits)


def _completeness(evidence: Evidence, limits: AdvanceLimits) -> Check:
    found, expected = evidence.integrity.found, evidence.integrity.expected
    limit = limits.completeness
    if not expected:
        reason = "no pair carries a number, so nobody knows whether some are missing"
        return plain("completeness", Outcome.INCONCLUSIVE, found, reason, limit=limit)
    share = found / expected
    outcome = Outcome.PASS if share >= limit else Outcome.FAIL
    reason = (
        f"{found:,} of {expected:,} numbered pairs found ({percent(share)} %, limit "
        f"{percent(limit)} %)"
    )
    if (again := evidence.integrity.renumbered) and outcome is Outcome.PASS:
        outcome = Outcome.INCONCLUSIVE
        reason += (
            f", but {plural(again, 'pair')} with the number of another one of the same worker: two "
            "processes go by its name (a snapshot that was restored twice?), so a lost pair may "
            "not show"
        )
    return plain(
        "completeness",
        outcome,
        expected,
        reason,
        figure=share,
        limit=limit,
    )


def _worker_ends(evidence: Evidence, limits: AdvanceLimits) -> Check:
    """Check for losses at the end of a worker's record, which leave no gap in its numbers.

    If the number of lost pairs is not known, it may be any: only a limit of 1 accepts it.
    """
    limit, expected = limits.unknown_loss, evidence.integrity.expected or 0
    open_ends = evidence.integrity.open_ends
    unknown = [each for each in open_ends or () if each.may_lack is None]
    lacking = sum(each.may_lack or 0 for each in open_ends or ())
    share = min(1.0, lacking / expected) if expected else float(bool(lacking))
    if open_ends is None:
        reason = (
            "the pairs come without the records of the workers that made them, so nobody knows "
            "whether a worker's last pairs are missing (unknown_loss: 1 in the playbook accepts it)"
        )
    elif unknown:
        reason = (
            f"{_named(unknown)} ended without a stop record and without a count (no .workers "
            "beside the pair files?), so the number of missing last pairs is not known"
        )
    elif open_ends:
        reason = (
            f"{_named(open_ends)} ended without a stop record; after the last count they made at "
            f"most {lacking:,} pairs ({percent(share)} %, limit {percent(limit)} %)"
        )
    else:
        reason = "every worker has closed its record, or runs"
    is_known = open_ends is not None and not unknown
    return plain(
        "worker_ends",
        Outcome.PASS if (share if is_known else 1.0) <= limit else Outcome.INCONCLUSIVE,
        expected,
        reason,
        figure=share if is_known else None,
        limit=limit,
    )


def _named(workers: Sequence[OpenEnd], most: int = 3) -> str:
    """Return the names of some workers, and when each was last seen."""
    named = [
        f"worker {each.worker}"
        + (f" (last seen {each.seen:%Y-%m-%d %H:%M:%S})" if each.seen else "")
        for each in workers[:most]
    ]
    further = len(workers) - most
    return ", ".join(named) + (f" and {further} more" if further > 0 else "")
