"""The decision of the gate. No clock, no file, no random numbers."""

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
class CachedChecks:
    """The checks that can be taken over from an earlier look at the same pairs.

    Most checks depend on the time of the look only by whether a day has passed since the evidence
    began, those of alarms also by the hour. So they are computed with a window that ends at these
    times in place of the look's time, and stay the same until such a time has passed.
    """

    hour: datetime
    """End of the window for the checks of alarms."""
    day: datetime
    """End of the window for the other checks."""
    alarms: tuple[Check, ...]
    outcomes: tuple[Check, ...]
    routine: tuple[Check, ...]
    health: tuple[Check, ...]
    agreement: tuple[Check, ...]
    answers: tuple[Check, ...]

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        playbook: Playbook,
        step: Step,
        before: "CachedChecks | None" = None,
    ) -> "CachedChecks":
        """Compute the checks, or take over those of an earlier look at the same pairs."""
        day, hour = _day(evidence.window), _hour(evidence.window)
        if before is None or before.day != day:
            return cls._computed(evidence, playbook, step)
        if before.hour == hour:
            return before
        alarms = tuple(alarm_checks(_ending(evidence, hour), playbook, step))
        return replace(before, hour=hour, alarms=alarms)

    @classmethod
    def _computed(cls, evidence: Evidence, playbook: Playbook, step: Step) -> "CachedChecks":
        day, hour = _day(evidence.window), _hour(evidence.window)
        inputs = _ending(evidence, day), playbook, step
        return cls(
            hour,
            day,
            alarms=tuple(alarm_checks(_ending(evidence, hour), playbook, step)),
            outcomes=tuple(outcome_checks(*inputs)),
            routine=(*opaque_checks(*inputs), *label_checks(*inputs)),
            health=tuple(health_checks(*inputs)),
            agreement=tuple(agreement_checks(*inputs)),
            answers=(
                *distribution_checks(*inputs),
                *quality_checks(*inputs),
                *preference_checks(*inputs),
                *answer_checks(*inputs),
            ),
        )


def _ending(evidence: Evidence, until: datetime) -> Evidence:
    """Return the evidence with another end of its window."""
    return replace(evidence, window=replace(evidence.window, until=until))


def _day(window: Window) -> datetime:
    """Return the end of the first day if it has passed, else the beginning of the evidence."""
    a_day = window.comparable_since + timedelta(days=1)
    return a_day if a_day <= window.until else window.comparable_since


def _hour(window: Window) -> datetime:
    """Return the start of the hour in which the window ends, but not before `_day`."""
    hour = window.until.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return max(hour, _day(window))


def decide(
    evidence: Evidence, playbook: Playbook, step: Step, cached: CachedChecks | None = None
) -> Verdict:
    """Return the verdict on a step.

    ROLLBACK if a check that rolls back has failed and the candidate answers requests. Else HOLD if
    any check has failed, or a required one has not passed. Else ADVANCE: to the next step, or after
    the last step to the removal of the primary.

    `cached` are the checks of this evidence that have been computed already.
    """
    cached = cached or CachedChecks.of(evidence, playbook, step)
    operational = tuple(operational_checks(evidence.operational_alarms, playbook))
    integrity = tuple(integrity_checks(evidence, playbook, step))
    checks = (
        *operational,
        *cached.outcomes,
        *integrity,
        *cached.routine,
        *cached.health,
        *cached.alarms,
        *cached.agreement,
        *recent_checks(evidence, playbook, step),
        *cached.answers,
        *capacity_checks(evidence, playbook, step),
    )
    always = (HEALTH_ALONE,) if judged_by_health(evidence, playbook) else ()
    return verdict_of(checks, evidence, (*operational, *integrity, *cached.routine), always)


def verdict_of(
    checks: tuple[Check, ...],
    evidence: Evidence,
    routine: tuple[Check, ...] = (),
    always: tuple[str, ...] = (),
) -> Verdict:
    """Return the verdict that follows from some checks.

    A passed check of `routine` is no reason that is worth reading. `always` are reasons of every
    verdict.
    """
    several = evidence.compared > 1
    failed = [each for each in checks if each.outcome is Outcome.FAIL]
    grave = [each for each in failed if each.rolls_back]
    if grave and evidence.window.rollout > 0:
        return Verdict(Decision.ROLLBACK, checks, (*_reasons(grave, several), *always))
    open_ = [each for each in checks if each.required and each.outcome is Outcome.INCONCLUSIVE]
    if failed or open_:
        light = [each for each in failed if not each.rolls_back]
        open_.sort(key=lambda each: not each.beyond_advance_limit)
        reasons = _reasons([*grave, *light, *open_], several)
        if grave:
            reasons += ("HOLD and not ROLLBACK: at 0 % the candidate answers nobody",)
        return Verdict(Decision.HOLD, checks, (*reasons, *always))
    passed = [
        each
        for each in checks
        if each.required and _is_reason(each, routine) and each.reason not in always
    ]
    return Verdict(Decision.ADVANCE, checks, (*always, *_reasons(passed, several)))


def decide_without_pairs(
    alarms: Sequence[OperationalAlarmHistory], playbook: Playbook, rollout: float
) -> Verdict | None:
    """Return ROLLBACK if operational alarms alone demand it, else None: pairs are needed."""
    checks = tuple(operational_checks(alarms, playbook))
    grave = [each for each in checks if each.rolls_back]
    if not grave or rollout <= 0:
        return None
    return Verdict(Decision.ROLLBACK, checks, _reasons(grave, several=False))


_ALWAYS_REASONS: Final = frozenset({"hold_time", "pairs", "labels", "young_labels", "outputs"})
"""Routine checks whose passing is a reason of ADVANCE all the same."""


def _is_reason(check: Check, routine: tuple[Check, ...]) -> bool:
    """Say whether a passed check is listed as a reason of ADVANCE."""
    return check not in routine or check.name in _ALWAYS_REASONS


def _reasons(checks: list[Check], several: bool) -> tuple[str, ...]:
    """Return the reasons of checks, with the output's name if there are several outputs."""
    return tuple(
        "".join(
            f"{name}: "
            for name in (each.output if several else None, each.segment)
            if name is not None
        )
        + each.reason
        for each in checks
    )
