"""The check of a service without a compared output.

Statuses and durations say nothing about the answers. Beyond the shadow, outcomes must do so, or the
playbook must say that health is enough.
"""

from collections.abc import Iterator
from typing import Final

from flags.gate.evidence import Evidence
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook, Step

OUTCOMES_FROM: Final = 10
"""Rollout from which on outcomes are needed: below, too few answers are the candidate's."""

HEALTH_ALONE: Final = (
    "only health was judged: nothing of the answers is compared (the playbook allows it, "
    "judged_by: health)"
)


def judged_by_health(evidence: Evidence, playbook: Playbook) -> bool:
    """Say whether the verdict is based on health alone because the playbook allows it."""
    return not _is_compared(evidence) and playbook.judged_by == "health"


def _is_compared(evidence: Evidence) -> bool:
    return bool(evidence.compared or evidence.preferences)


def opaque_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the check that something shows the quality of answers; none if outputs are compared."""
    if _is_compared(evidence):
        return
    known = [each for each in evidence.outcomes if each.cells]
    if judged_by_health(evidence, playbook):
        yield plain("outputs", Outcome.PASS, 0, HEALTH_ALONE)
    elif known or (playbook.outcomes and step.rollout < OUTCOMES_FROM):
        names = ", ".join(each.name for each in known) or ", ".join(playbook.outcomes)
        reason = f"only health and outcomes ({names}) are judged: no output is compared"
        yield plain("outputs", Outcome.PASS, 0, reason)
    else:
        reason = (
            "only health was judged: no output is compared, so nothing shows what the candidate "
            "answers; name outputs (migrate(score=...)), hand in outcomes, or say in "
            "the playbook that health is enough (judged_by: health)"
        )
        yield plain("outputs", Outcome.INCONCLUSIVE, 0, reason)
