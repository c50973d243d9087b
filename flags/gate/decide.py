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
from flags.gate.evidence import Evidence, OperationalAlarmHistory, Window
from flags.gate.verdict import Check, Decision, Outcome, Verdict
from flags.playbook.model import Playbook, Step


@dataclass(frozen=True, slots=True)
class KnownChecks:
    """Hold the checks that stay the same for hours, if nothing new is known.

    Of the time when the evidence was taken, those of alarms see the hour, and all of them whether a
    day has passed since the evidence began: they get windows that end at these times. So those of
    an earlier look are those of this one.
    """

    hour: datetime
    """What those of alarms take for the end of the window."""
    day: datetime
    """What the others take for it."""
    alarms: tuple[Check, ...]
    outcomes: tuple[Check, ...]
    order: tuple[Check, ...]
    health: tuple[Check, ...]
    agreement: tuple[Check, ...]
    answers: tuple[Check, ...]

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        playbook: Playbook,
        step: Step,
        before: "KnownChecks | None" = None,
    ) -> "KnownChecks":
        """Make the checks, or take those of an earlier look at the same pairs."""
        day, hour = _day(evidence.window), _hour(evidence.window)
        if before is None or before.day != day:
            return cls._made(evidence, playbook, step)
        if before.hour == hour:
            return before
        alarms = tuple(alarm_checks(_ending(evidence, hour), playbook, step))
        return replace(before, hour=hour, alarms=alarms)

    @classmethod
    def _made(cls, evidence: Evidence, playbook: Playbook, step: Step) -> "KnownChecks":
        day, hour = _day(evidence.window), _hour(evidence.window)
        given = _ending(evidence, day), playbook, step
        return cls(
            hour,
            day,
            alarms=tuple(alarm_checks(_ending(evidence, hour), playbook, step)),
            outcomes=tuple(outcome_checks(*given)),
            order=(*opaque_checks(*given), *label_checks(*given)),
            health=tuple(health_checks(*given)),
            agreement=tuple(agreement_checks(*given)),
            answers=(
                *distribution_checks(*given),
                *quality_checks(*given),
                *preference_checks(*given),
                *answer_checks(*given),
            ),
        )


def _ending(evidence: Evidence, until: datetime) -> Evidence:
    return replace(evidence, window=replace(evidence.window, until=until))


def _day(window: Window) -> datetime:
    """Return the end of the first day once that is over, before it the beginning."""
    a_day = window.begun + timedelta(days=1)
    return a_day if a_day <= window.until else window.begun


def _hour(window: Window) -> datetime:
    """Return the hour of the window's end, or the end of its first day where that is later."""
    hour = window.until.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return max(hour, _day(window))


def decide(
    evidence: Evidence, playbook: Playbook, step: Step, known: KnownChecks | None = None
) -> Verdict:
    """Return the verdict on a step.

    ROLLBACK where a check that rolls back has failed and the candidate answers somebody. Else HOLD
    where anything has failed, or a required check has not passed. Else ADVANCE: to the next step,
    or after the last to the end of the primary.

    `known` are those of this evidence that have been made before.
    """
    known = known or KnownChecks.of(evidence, playbook, step)
    operational = tuple(operational_checks(evidence.operational, playbook))
    integrity = tuple(integrity_checks(evidence, playbook, step))
    checks = (
        *operational,
        *known.outcomes,
        *integrity,
        *known.order,
        *known.health,
        *known.alarms,
        *known.agreement,
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
        open_.sort(key=lambda each: not each.beyond)
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
    alarms: Sequence[OperationalAlarmHistory], playbook: Playbook, rollout: float
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
