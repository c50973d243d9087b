"""The decision of the gate. It is pure: no clock, no file, no random numbers."""

from collections.abc import Sequence
from typing import Final

from flags.gate.checks.agreement import agreement_checks
from flags.gate.checks.alarms import alarm_checks
from flags.gate.checks.answers import answer_checks
from flags.gate.checks.capacity import capacity_checks
from flags.gate.checks.distribution import distribution_checks
from flags.gate.checks.health import health_checks
from flags.gate.checks.integrity import integrity_checks
from flags.gate.checks.labels import label_checks
from flags.gate.checks.opaque import HEALTH_ALONE, judged_by_health, opaque_checks
from flags.gate.checks.operational import operational_checks
from flags.gate.checks.outcomes import outcome_checks
from flags.gate.checks.preferences import preference_checks
from flags.gate.checks.quality import quality_checks
from flags.gate.checks.recent import recent_checks
from flags.gate.evidence import Evidence, OperationalAlarm
from flags.gate.verdict import Check, Decision, Outcome, Verdict
from flags.playbook.model import Playbook, Step


def decide(evidence: Evidence, playbook: Playbook, step: Step) -> Verdict:
    """Return the verdict on a step.

    ROLLBACK where a check that rolls back has failed and the candidate answers somebody. Else HOLD
    where anything has failed, or a required check has not passed. Else ADVANCE: to the next step,
    or after the last to the end of the primary.
    """
    operational = tuple(operational_checks(evidence.operational, playbook))
    order = (
        *operational,
        *integrity_checks(evidence, playbook, step),
        *opaque_checks(evidence, playbook, step),
        *label_checks(evidence, playbook, step),
    )
    checks = (
        *operational,
        *outcome_checks(evidence, playbook, step),
        *order[len(operational) :],
        *health_checks(evidence, playbook, step),
        *alarm_checks(evidence, playbook, step),
        *agreement_checks(evidence, playbook, step),
        *recent_checks(evidence, playbook, step),
        *distribution_checks(evidence, playbook, step),
        *quality_checks(evidence, playbook, step),
        *preference_checks(evidence, playbook, step),
        *answer_checks(evidence, playbook, step),
        *capacity_checks(evidence, playbook, step),
    )
    always = (HEALTH_ALONE,) if judged_by_health(evidence, playbook) else ()
    return concluded(checks, evidence, order, always)


def concluded(
    checks: tuple[Check, ...],
    evidence: Evidence,
    order: tuple[Check, ...] = (),
    always: tuple[str, ...] = (),
) -> Verdict:
    """Return the verdict that some checks make; `order` are those that tell nothing if passed.

    `always` is said whatever the verdict is.
    """
    several = evidence.compared > 1
    failed = [each for each in checks if each.outcome is Outcome.FAIL]
    grave = [each for each in failed if each.rolls_back]
    if grave and evidence.window.rollout > 0:
        return Verdict(Decision.ROLLBACK, checks, (*_reasons(grave, several), *always))
    open_ = [each for each in checks if each.required and each.outcome is Outcome.INCONCLUSIVE]
    if failed or open_:
        light = [each for each in failed if not each.rolls_back]
        reasons = _reasons([*grave, *light, *open_], several)
        if grave:
            reasons += ("HOLD and not ROLLBACK: at 0 % the candidate answers nobody",)
        return Verdict(Decision.HOLD, checks, (*reasons, *always))
    passed = [
        each
        for each in checks
        if each.required and _tells(each, order) and each.reason not in always
    ]
    return Verdict(Decision.ADVANCE, checks, (*always, *_reasons(passed, several)))


def decide_without_pairs(
    alarms: Sequence[OperationalAlarm], playbook: Playbook, rollout: float
) -> Verdict | None:
    """Return ROLLBACK where operational alarms alone ask for it, else None: pairs are needed."""
    checks = tuple(operational_checks(alarms, playbook))
    grave = [each for each in checks if each.rolls_back]
    if not grave or rollout <= 0:
        return None
    return Verdict(Decision.ROLLBACK, checks, _reasons(grave, several=False))


_TOLD: Final = frozenset({"hold_time", "pairs", "labels", "young_labels", "outputs"})


def _tells(check: Check, order: tuple[Check, ...]) -> bool:
    """Say whether a check that has passed is worth a reason: that all is in order is not."""
    return check not in order or check.name in _TOLD


def _reasons(checks: list[Check], several: bool) -> tuple[str, ...]:
    """Return the reasons, with the output's name where there is more than one."""
    return tuple(
        "".join(
            f"{name}: "
            for name in (each.output if several else None, each.segment)
            if name is not None
        )
        + each.reason
        for each in checks
    )
