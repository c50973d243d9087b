"""Checks that no pairs are lost: by their numbers, and at the ends of the workers' records."""

from collections.abc import Iterator, Sequence

from flags.gate.evidence import Evidence, UnclosedRecord
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
        reason = "no pair carries a number, so it is not known whether some are missing"
        return plain("completeness", Outcome.INCONCLUSIVE, found, reason, limit=limit)
    share = found / expected
    outcome = Outcome.PASS if share >= limit else Outcome.FAIL
    reason = (
        f"{found:,} of {expected:,} numbered pairs found ({percent(share)} %, limit "
        f"{percent(limit)} %)"
    )
    if (again := evidence.integrity.reused_numbers) and outcome is Outcome.PASS:
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
    unclosed_records = evidence.integrity.unclosed_records
    unknown = [each for each in unclosed_records or () if each.max_lost_pairs is None]
    lacking = sum(each.max_lost_pairs or 0 for each in unclosed_records or ())
    share = min(1.0, lacking / expected) if expected else float(bool(lacking))
    if unclosed_records is None:
        reason = (
            "the pairs come without the records of the workers that made them, so it is not known "
            "whether a worker's last pairs are missing (unknown_loss: 1 in the playbook accepts it)"
        )
    elif unknown:
        reason = (
            f"{_named(unknown)} ended without a stop record and without a count (no .workers "
            "beside the pair files?), so the number of missing last pairs is not known"
        )
    elif unclosed_records:
        reason = (
            f"{_named(unclosed_records)} ended without a stop record; after the last count they "
            f"made at most {lacking:,} pairs ({percent(share)} %, limit {percent(limit)} %)"
        )
    else:
        reason = "every worker has closed its record, or runs"
    is_known = unclosed_records is not None and not unknown
    return plain(
        "worker_ends",
        Outcome.PASS if (share if is_known else 1.0) <= limit else Outcome.INCONCLUSIVE,
        expected,
        reason,
        figure=share if is_known else None,
        limit=limit,
    )


def _named(workers: Sequence[UnclosedRecord], most: int = 3) -> str:
    """Return the names of some workers, and when each was last seen."""
    named = [
        f"worker {each.worker}"
        + (f" (last seen {each.last_seen:%Y-%m-%d %H:%M:%S})" if each.last_seen else "")
        for each in workers[:most]
    ]
    further = len(workers) - most
    return ", ".join(named) + (f" and {further} more" if further > 0 else "")
