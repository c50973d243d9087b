"""Steps up that no verdict can have allowed, as the flag's history alone shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from flags.operate.history import History, Run
from flags.playbook.durations import duration_text
from flags.playbook.model import Playbook


@dataclass(frozen=True, slots=True)
class UnprovenStep:
    """A step up that was taken without evidence, and the reasons that show it."""

    time: datetime
    by: str
    by_token: bool
    what: str
    """E.g. `5 % to 50 %`."""
    why: tuple[str, ...]


def unproven_steps(history: History, playbook: Playbook | None) -> tuple[UnprovenStep, ...]:
    """Return the unproven steps since the flag was last off or at 0 %.

    Without a playbook, only the order of stages is checked.
    """
    found: list[UnprovenStep] = []
    for before, after in zip(history.runs, history.runs[1:], strict=False):
        if not after.setting.rollout:  # off, at 0 %, or not one rollout
            found = []
        if after.since is None or not _is_up(before, after):
            continue
        why = tuple(_by_plan(before, after, playbook) if playbook else _by_stage(before, after))
        if why:
            what = f"{before.setting} to {after.setting}"
            found.append(UnprovenStep(after.since, after.by or "?", after.by_token, what, why))
    return tuple(found)


def _is_up(before: Run, after: Run) -> bool:
    """Say whether more callers get the candidate; False if that is unclear."""
    if before.setting.enabled is None or after.setting.rollout is None:
        return False
    if before.setting.enabled and before.setting.rollout is None:
        return False
    return after.setting.rollout > (before.setting.rollout or 0)


def _by_stage(before: Run, after: Run) -> Iterator[str]:
    left, reached = before.setting.stage, after.setting.stage
    if left and reached and not left.may_become(reached):
        yield f"{reached} does not follow {left}"


def _by_plan(before: Run, after: Run, playbook: Playbook) -> Iterator[str]:
    # Off counts as below 0 %, so that switching on leads to the first step.
    left = -1 if before.setting.rollout is None else before.setting.rollout
    reached = after.setting.rollout or 0
    if not playbook.steps_at(reached):
        yield f"{reached} % is not a step of the playbook"
    if not playbook.may_go(left, reached):
        yield "more than one step at once"
    hold = next((step.hold for step in reversed(playbook.steps) if step.rollout <= left), None)
    if hold and before.since and after.since and after.since - before.since < hold:
        held = timedelta(seconds=round((after.since - before.since).total_seconds()))
        yield f"held for {duration_text(held)} of {duration_text(hold)}"
