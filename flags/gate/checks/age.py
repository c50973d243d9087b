"""Failures that need evidence of a whole day: other hours may show something else."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from flags.gate.evidence import Evidence
from flags.gate.verdict import Check, Outcome

_DAY: Final = timedelta(days=1)


def after_a_day(evidence: Evidence, check: Check) -> Check:
    """Return the check, but inconclusive in place of FAIL until the evidence is a day old."""
    if (
        check.outcome is not Outcome.FAIL
        or evidence.window.until - evidence.window.comparable_since >= _DAY
    ):
        return check
    reason = f"{check.reason}: rolls back once the evidence is a day old"
    return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason, required=True)
