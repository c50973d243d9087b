"""The checks of every kind of answer, and of their labels."""

from collections.abc import Iterator

from flags.gate.checks.integrity import plain
from flags.gate.evidence import AnswerEvidence, Evidence
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
    reason = f"{found.labelled:,} labels of {wanted:,}"
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
