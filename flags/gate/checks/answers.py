"""The checks of outputs other than scores, and parts that all their kinds use."""

from collections.abc import Iterator
from dataclasses import replace

from flags.gate.evidence import AnswerEvidence, Count, Evidence
from flags.gate.number_format import percent, plural
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome
from flags.pairing.kinds import registry
from flags.playbook.model import Playbook, Step


def answer_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of each output, from the module of its kind."""
    modules = registry.layer("flags.gate.checks")
    for answer in evidence.answers:
        yield from modules[answer.kind].checks(answer, evidence, playbook, step)


def labels_of_answer(answer: AnswerEvidence, playbook: Playbook, step: Step) -> Check:
    """Check that an output has enough labels, if positives and negatives count alike."""
    least = playbook.gate_of(step, output=answer.name).advance.min_positives
    wanted = max(playbook.labels_wanted(step), least)
    lacking = wanted - answer.labelled
    reason = f"{plural(answer.labelled, 'label')} of {wanted:,}"
    return plain(
        "labels",
        Outcome.PASS if lacking <= 0 else Outcome.INCONCLUSIVE,
        answer.labelled,
        reason if lacking <= 0 else f"{reason}: {lacking:,} more needed",
        figure=answer.labelled,
        limit=wanted,
        output=answer.name,
        needed=None if lacking <= 0 else lacking,
    )


def unread_answers(answer: AnswerEvidence, unread: int, limit: float, what: str) -> Check:
    """Check that unreadable answers are few: how these compare is not known."""
    count = Count(unread, unread + answer.paired)
    share = count.rate or 0.0
    return plain(
        "uncompared",
        Outcome.FAIL if share > limit else Outcome.PASS,
        count.total,
        f"{what} could not be read in {percent(share)} % of pairs, limit {percent(limit)} %",
        figure=share,
        limit=limit,
        output=answer.name,
    )


def excused(check: Check, why: str) -> Check:
    """Return the check of a difference that no longer holds a step, for the reason `why`."""
    check = replace(check, required=False, more_needed=None)
    if check.outcome is not Outcome.FAIL:
        return check
    reason = f"{check.reason}: {why}"
    return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason, rolls_back=False)


def with_enough_labels(check: Check, labels: int, wanted: int, of: str = "") -> Check:
    """Return the check, but inconclusive in place of PASS if it has fewer labels than `wanted`."""
    if labels >= wanted or check.outcome is not Outcome.PASS:
        return check
    reason = f"{check.reason}: only {plural(labels, 'label')}{of}, {wanted:,} wanted"
    return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason)
