"""The checks of every kind of answer, and of their labels."""

from collections.abc import Iterator
from dataclasses import replace

from flags.gate.evidence import AnswerEvidence, Count, Evidence
from flags.gate.number_format import percent, plural
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome
from flags.pairing.kinds import registry
from flags.playbook.model import Playbook, Step


def answer_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of each output by the module of its kind."""
    modules = registry.layer("flags.gate.checks")
    for found in evidence.answers:
        yield from modules[found.kind].checks(found, evidence, playbook, step)


def labels_of_answer(found: AnswerEvidence, playbook: Playbook, step: Step) -> Check:
    """Count the labels of an output of which each is worth the same."""
    least = playbook.gate_of(step, output=found.name).advance.min_positives
    wanted = max(playbook.labels_wanted(step), least)
    lacking = wanted - found.labelled
    reason = f"{plural(found.labelled, 'label')} of {wanted:,}"
    return plain(
        "labels",
        Outcome.PASS if lacking <= 0 else Outcome.INCONCLUSIVE,
        found.labelled,
        reason if lacking <= 0 else f"{reason}: {lacking:,} more needed",
        figure=found.labelled,
        limit=wanted,
        output=found.name,
        needed=None if lacking <= 0 else lacking,
    )


def unread_answers(found: AnswerEvidence, unread: int, limit: float, what: str) -> Check:
    """Hold where what a side said cannot be read too often: nobody knows what it would be."""
    count = Count(unread, unread + found.paired)
    share = count.rate or 0.0
    return plain(
        "uncompared",
        Outcome.FAIL if share > limit else Outcome.PASS,
        count.total,
        f"{what} could not be read in {percent(share)} % of pairs, limit {percent(limit)} %",
        figure=share,
        limit=limit,
        output=found.name,
    )


def excused(check: Check, why: str) -> Check:
    """Let a difference between the sides not be an objection: `why` says what excuses it."""
    check = replace(check, required=False, needed=None)
    if check.outcome is not Outcome.FAIL:
        return check
    reason = f"{check.reason}: {why}"
    return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason, rolls_back=False)


def with_enough_labels(check: Check, labels: int, wanted: int, of: str = "") -> Check:
    """Return the check, open where it passes by fewer labels than are wanted."""
    if labels >= wanted or check.outcome is not Outcome.PASS:
        return check
    reason = f"{check.reason}: only {plural(labels, 'label')}{of}, {wanted:,} wanted"
    return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason)
