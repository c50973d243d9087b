"""The conclusion from labels: losses that they surely show, by limits of a default playbook."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

from comparison.summary.conclusion import Conclusion
from flags.gate.checks.answers import answer_checks
from flags.gate.checks.quality import quality_checks
from flags.gate.decide import verdict_of
from flags.gate.evidence import Evidence
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook

_OVER_ALL: Final = frozenset({"recall_loss", "accuracy_loss", "error_loss", "ndcg_loss"})
_QUALITY: Final = _OVER_ALL | {
    "average_precision_loss",
    "segment_recall_loss",
    "class_recall_loss",
    "gross_errors",
}


def with_labels(conclusion: Conclusion, evidence: Evidence) -> Conclusion:
    """Add reasons for losses that labels surely show, and remarks why they cannot show any."""
    checks = tuple(_quality(evidence))
    lost = [each for each in checks if each.outcome is Outcome.FAIL or each.beyond_advance_limit]
    inconclusive = [
        each
        for each in checks
        if each.name in _OVER_ALL and each.figure is None and each not in lost
    ]
    reasons = [f"{each}: HOLD" for each in _reasons(lost, evidence)]
    return Conclusion(
        (*conclusion.reasons, *reasons), (*conclusion.remarks, *_reasons(inconclusive, evidence))
    )


def _quality(evidence: Evidence) -> Iterator[Check]:
    """Yield the gate's checks of quality, as if the evidence were two days old."""
    window = evidence.window
    old = replace(window, comparable_since=window.until - timedelta(days=2))
    playbook = Playbook(flag=window.flag)
    given = replace(evidence, window=old), playbook, playbook.steps[0]
    for check in (*quality_checks(*given), *answer_checks(*given)):
        if check.name in _QUALITY:
            yield check


def _reasons(checks: list[Check], evidence: Evidence) -> tuple[str, ...]:
    """Return the reasons of checks, with the output's name if there are several outputs."""
    failed = tuple(
        replace(each, outcome=Outcome.FAIL, rolls_back=False, required=True) for each in checks
    )
    return verdict_of(failed, evidence).reasons if failed else ()
