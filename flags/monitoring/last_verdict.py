"""The last verdict of `gate`, `advance` or `autopilot`, from its file in the folder of pairs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from flags.monitoring.verdict_place import verdict_path
from flags.playbook.stages import Stage

_MAX_BYTES: Final = 4 * 2**20
"""A larger file was not written by us."""


_OPERATIONAL: Final = "operational_alarm"
"""Name of the checks of operational alarms. Copied, because a service does not import the gate."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of the playbook."""

    stage: str
    rollout: float


@dataclass(frozen=True, slots=True)
class NextStep:
    """The next step of the playbook, and when it is expected."""

    name: str
    not_before: datetime
    expected: datetime | None = None
    needs_approval: bool = False


@dataclass(frozen=True, slots=True)
class FiringAlarm:
    """An operational alarm that was not quiet at the last look."""

    name: str
    reason: str
    is_known: bool
    """False if its source could not be read."""


@dataclass(frozen=True, slots=True)
class LastVerdict:
    """The part of a verdict document that the live page shows."""

    flag: str
    step: str
    decision: str
    reasons: tuple[str, ...] = ()
    next_step: NextStep | None = None
    firing: tuple[FiringAlarm, ...] = ()
    at: datetime | None = None
    """When the file was written."""
    stage: Stage | None = None
    rollout: float | None = None
    """Rollout of the step that was judged."""
    steps: tuple[PlannedStep, ...] = ()
    """All steps of the playbook, in order."""


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    outcome: str = ""
    reason: str = ""
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class _Document:
    flag: str
    step: str
    decision: str
    reasons: tuple[str, ...] = ()
    next_step: NextStep | None = None
    checks: tuple[_Check, ...] = ()
    stage: Stage | None = None
    rollout: float | None = None
    steps: tuple[PlannedStep, ...] = ()

    @property
    def firing(self) -> tuple[FiringAlarm, ...]:
        return tuple(
            FiringAlarm(each.subject or "", each.reason, each.outcome == "fail")
            for each in self.checks
            if each.name == _OPERATIONAL and each.outcome != "pass"
        )


_DOCUMENT: Final = TypeAdapter(_Document)


def last_verdict(folder: Path, flag: str) -> LastVerdict | None:
    """Return the last verdict on `flag`; None if there is none, or it cannot be read."""
    path = verdict_path(folder, flag)
    try:
        facts = path.stat()
        if facts.st_size > _MAX_BYTES:
            return None
        found = _DOCUMENT.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    if found.flag != flag:
        return None
    at = datetime.fromtimestamp(facts.st_mtime, UTC)
    return LastVerdict(
        found.flag,
        found.step,
        found.decision,
        found.reasons,
        found.next_step,
        found.firing,
        at,
        stage=found.stage,
        rollout=found.rollout,
        steps=found.steps,
    )
