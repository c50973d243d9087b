"""The news about a migration: what is otherwise than when somebody was told last. It is pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from flags.gate.checks.operational import NAME
from flags.gate.verdict import Check, Outcome
from flags.operate.history import History, Run
from flags.operate.next_action import Action, NextAction, StepVerdict
from flags.printable import printable

_REASONS: Final = 2
_MOVES: Final = 3
_LONGEST: Final = 220
"""Characters of a line: a chat shows it without unfolding."""

_QUIET: Final = "quiet"


@dataclass(frozen=True, slots=True)
class Message:
    """A message, short enough for a chat."""

    title: str
    body: str
    action: Action
    urgent: bool
    """Whether the flag was changed, which is told whatever was told before."""


@dataclass(frozen=True, slots=True)
class News:
    """Hold how a migration is, by subject, and what to say about each where it is new."""

    flag: str
    action: Action
    setting: str
    states: Mapping[str, str]
    lines: Mapping[str, str]
    moves: tuple[tuple[int, str], ...]
    """Changes of the flag: entry of its event log, and words; the oldest first."""
    link: str

    @classmethod
    def of(
        cls, flag: str, history: History, found: StepVerdict, action: NextAction, link: str
    ) -> Self:
        """Return the state of things after a look; `history` is that after the action."""
        verdict = found.verdict
        alarms = [each for each in verdict.checks if each.name == NAME] if verdict else []
        shown = "; ".join(action.reasons[:_REASONS])
        states, lines = {"verdict": _verdict(found, action)}, {"verdict": shown}
        for check in alarms:
            subject = f"alarm {check.subject}"
            states[subject] = _state(check)
            if check.reason not in shown:
                lines[subject] = _alarm(check)
        current = history.current
        if current.event is not None:
            states["flag"] = str(current.event)
        return cls(
            flag, action.action, str(current.setting), states, lines, tuple(_moves(history)), link
        )

    @classmethod
    def of_failure(cls, flag: str, problem: str, link: str) -> Self:
        """Return that a look failed: nobody watches the flag meanwhile."""
        kind = problem.partition(":")[0]
        state, lines = {"verdict": f"failed {kind}"}, {"verdict": problem}
        return cls(flag, Action.HOLD, "the look failed", state, lines, (), link)

    def since(self, told: Mapping[str, str]) -> Message | None:
        """Return the message that follows on `told`, the last one; None where nothing is new."""
        seen = int(told["flag"]) if told.get("flag", "").isdigit() else None
        moves = [words for entry, words in self.moves if seen is not None and entry > seen]
        said = [
            line
            for subject, line in self.lines.items()
            if told.get(subject, _QUIET) != self.states[subject]
        ]
        body = [*moves[-_MOVES:], *said]
        if not body:
            return None
        text = "\n".join([*(_safe(line) for line in body), self.link])
        title = _safe(f"{self.flag}: {self.action}, {self.setting}")
        return Message(title, text, self.action, urgent=bool(moves))


def _verdict(found: StepVerdict, action: NextAction) -> str:
    """Name the verdict; of a pause, by the change that led to it."""
    decision = found.verdict.decision if found.verdict else "none"
    step = found.step.name if found.step else ""
    paused = action.reasons[0] if action.action is Action.PAUSED else ""
    return f"{action.action} {decision} {step} {paused}".strip()


def _state(check: Check) -> str:
    if check.outcome is Outcome.PASS:
        return _QUIET
    if check.outcome is Outcome.INCONCLUSIVE:
        return "not known"
    return "rolls back" if check.rolls_back else "fires"


def _alarm(check: Check) -> str:
    return check.reason + (" (quiet)" if check.outcome is Outcome.PASS else "")


def _moves(history: History) -> Iterator[tuple[int, str]]:
    runs: Sequence[Run] = history.runs
    for run in runs:
        if run.event is not None:
            yield run.event, f"{run.by or 'somebody'}: {run.how}, now {run.setting}"


def _safe(line: str) -> str:
    """Return a line that can neither steer a chat nor call everybody in it."""
    text = printable(line, _LONGEST)
    return text.translate({ord("<"): "\u2039", ord(">"): "\u203a", ord("@"): "\uff20"})
