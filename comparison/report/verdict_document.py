"""Evidence and verdict as JSON, for other programs; `verdict_schema` beside it is its schema."""

from dataclasses import dataclass

import orjson

from comparison.judgement.judgement import Judgement
from comparison.report.check_limits import check_limits
from comparison.report.headline import headline
from comparison.summary.plain import as_plain
from flags.export.version import VERSION
from flags.gate.evidence import Evidence
from flags.gate.next_step import NextStep, next_step
from flags.gate.verdict import Check, Decision
from flags.playbook.stages import Stage


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of the playbook, without its limits."""

    stage: Stage
    rollout: int
    """Rollout in per cent."""


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """The limits of a check to advance and to roll back, in the unit of the check."""

    advance: float | None
    """The limit that must be kept to advance; None: there is none."""
    rollback: float | None
    """The limit beyond which the flag is rolled back; None: there is none."""
    two_sided: bool
    """Whether a ratio must not be below the inverse of a limit either."""


@dataclass(frozen=True, slots=True)
class VerdictDocument:
    """The verdict of the gate on a step, with all of its evidence.

    Times are ISO 8601 with an offset, durations are seconds. A number that is not finite, such as
    the open end of an interval, is null.
    """

    flag: str
    """Key of the flag."""
    step: str
    """The judged step: stage and rollout, as in `canary, 5 %`."""
    stage: Stage
    rollout: int
    """Rollout of the step in per cent."""
    decision: Decision
    consequence: str
    """What the verdict means for the flag, in words."""
    reasons: tuple[str, ...]
    """Reasons of the decision in words, the gravest first."""
    checks: tuple[Check, ...]
    """All checks of the step."""
    limits: tuple[CheckLimits, ...]
    """The limits of each check, in the order of `checks`."""
    next_step: NextStep | None
    """None after the last step, and at a ROLLBACK."""
    what_happens_next: tuple[str, ...]
    """What happens next, and what is missing for it, in words."""
    steps: tuple[PlannedStep, ...]
    """All steps of the playbook, in its order."""
    error_rate: float
    """The playbook's limit on the probability that a candidate is rolled back without cause."""
    version: str
    """The version of bentoml-flags that decided."""
    evidence: Evidence

    @classmethod
    def of(cls, evidence: Evidence, judgement: Judgement) -> "VerdictDocument":
        """Build the document of a judgement and its evidence."""
        return cls(
            flag=evidence.window.flag,
            step=judgement.step.name,
            stage=judgement.step.stage,
            rollout=judgement.step.rollout,
            decision=judgement.verdict.decision,
            consequence=judgement.consequence,
            reasons=judgement.verdict.reasons,
            checks=judgement.verdict.checks,
            limits=tuple(_limits(each, evidence, judgement) for each in judgement.verdict.checks),
            next_step=next_step(evidence, judgement.verdict, judgement.playbook, judgement.step),
            what_happens_next=headline(evidence, judgement).following,
            steps=tuple(PlannedStep(each.stage, each.rollout) for each in judgement.playbook.steps),
            error_rate=judgement.playbook.error_rate,
            version=VERSION,
            evidence=evidence,
        )

    def json(self) -> bytes:
        """Return the document as JSON, indented."""
        return orjson.dumps(as_plain(self), option=orjson.OPT_INDENT_2)


def _limits(check: Check, evidence: Evidence, judgement: Judgement) -> CheckLimits:
    age = evidence.window.until - evidence.window.comparable_since
    found = check_limits(check, judgement.playbook, judgement.step, age)
    advance, rollback = (None if each is None else each.value for each in found)
    return CheckLimits(
        advance, rollback, any(each is not None and each.two_sided for each in found)
    )
