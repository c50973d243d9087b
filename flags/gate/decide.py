"""The decision of the gate. It is pure: no clock, no file, no random numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
from flags.gate.evidence import Evidence, OperationalAlarm, Window
from flags.gate.verdict import Check, Decision, Outcome, Verdict
from flags.playbook.model import Playbook, Step


@dataclass(frozen=True, slots=True)
class HourChecks:
    """Hold the checks that are the same all through an hour, if nothing new is known.

    Of the time when the evidence was taken they see the hour, and whether a day has passed since
    the evidence began. So within the hour, those of an earlier look are those of this one.
    """

    until: datetime
    """What they take for the time when the evidence was taken."""
    outcomes: tuple[Check, ...]
    order: tuple[Check, ...]
    sides: tuple[Check, ...]
    """How both sides fared, and agree; what is of late comes after them."""
    answers: tuple[Check, ...]

    @classmethod
    def of(cls, evidence: Evidence, playbook: Playbook, step: Step) -> "HourChecks":
        """Make the checks."""
        until = _whole_hour(evidence.window)
        given = replace(evidence, window=replace(evidence.window, until=until)), playbook, step
        return cls(
            until,
            outcomes=tuple(outcome_checks(*given)),
            order=(*opaque_checks(*given), *label_checks(*given)),
            sides=(*health_checks(*given), *alarm_checks(*given), *agreement_checks(*given)),
            answers=(
                *distribution_checks(*given),
                *quality_checks(*given),
                *preference_checks(*given),
                *answer_checks(*given),
            ),
        )

    def hold_for(self, window: Window) -> bool:
        """Say whether they are those of a window with the same pairs, which may end later."""
        return self.until == _whole_hour(window)


def _whole_hour(window: Window) -> datetime:
    """Return the hour of the window's end, or the end of its first day where that is later."""
    hour = window.until.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    a_day = window.begun + timedelta(days=1)
    return max(hour, a_day) if a_day <= window.until else hour


def decide(
    evidence: Evidence, playbook: Playbook, step: Step, known: HourChecks | None = None
) -> Verdict:
    """Return the verdict on a step.

    ROLLBACK where a check that rolls back has failed and the candidate answers somebody. Else HOLD
    where anything has failed, or a required check has not passed. Else ADVANCE: to the next step,
    or after the last to the end of the primary.

    `known` are the checks of an earlier look at the same evidence, which hold for its window.
    """
    known = known or HourChecks.of(evidence, playbook, step)
    operational = tuple(operational_checks(evidence.operational, playbook))
    integrity = tuple(integrity_checks(evidence, playbook, step))
    checks = (
        *operational,
        *known.outcomes,
        *integrity,
        *known.order,
        *known.sides,
        *recent_checks(evidence, playbook, step),
        *known.answers,
        *capacity_checks(evidence, playbook, step),
    )
    always = (HEALTH_ALONE,) if judged_by_health(evidence, playbook) else ()
    return concluded(checks, evidence, (*operational, *integrity, *known.order), always)


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
