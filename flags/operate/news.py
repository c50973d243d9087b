"""The news about a migration: what has changed since the last message to an address. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from flags.gate.checks.operational import NAME
from flags.gate.verdict import Check, Outcome
from flags.operate.history import History, Run
from flags.operate.next_action import Action, NextAction, StepVerdict
from flags.printable import printable

_MAX_REASONS: Final = 2
_MAX_MOVES: Final = 3
_LINE_LENGTH: Final = 220
"""Characters of a line, which chats show without folding it."""

_QUIET: Final = "quiet"


@dataclass(frozen=True, slots=True)
class Message:
    """A message, short enough for a chat."""

    title: str
    body: str
    action: Action
    urgent: bool
    """Whether the flag was changed; such a message is sent in spite of the limit per hour."""


@dataclass(frozen=True, slots=True)
class News:
    """The state of a migration, and the text for each part of it that is new to a recipient."""

    flag: str
    action: Action
    setting: str
    states: Mapping[str, str]
    """By subject: `verdict`, `flag`, and each alarm."""
    lines: Mapping[str, str]
    """By subject, the text to send if its state is new."""
    moves: tuple[tuple[int, str], ...]
    """Changes of the flag as (number of the event log entry, text), the oldest first."""
    link: str

    @classmethod
    def of(
        cls, flag: str, history: History, found: StepVerdict, action: NextAction, link: str
    ) -> Self:
        """Return the state after a look; `history` includes the action."""
        verdict = found.verdict
        alarms = [each for each in verdict.checks if each.name == NAME] if verdict else []
        shown = "; ".join(action.reasons[:_MAX_REASONS])
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
        """Return the news that a look failed, so that nothing watches the flag."""
        kind = problem.partition(":")[0]
        state, lines = {"verdict": f"failed {kind}"}, {"verdict": problem}
        return cls(flag, Action.HOLD, "the look failed", state, lines, (), link)

    def message_after(self, sent: Mapping[str, str]) -> Message | None:
        """Return the message to a recipient who knows the states `sent`; None if nothing is new."""
        last = int(sent["flag"]) if sent.get("flag", "").isdigit() else None
        moves = [text for entry, text in self.moves if last is not None and entry > last]
        lines = [
            line
            for subject, line in self.lines.items()
            if sent.get(subject, _QUIET) != self.states[subject]
        ]
        body = [*moves[-_MAX_MOVES:], *lines]
        if not body:
            return None
        text = "\n".join([*(_safe(line) for line in body), self.link])
        title = _safe(f"{self.flag}: {self.action}, {self.setting}")
        return Message(title, text, self.action, urgent=bool(moves))


def _verdict(found: StepVerdict, action: NextAction) -> str:
    """Return a text that differs for each verdict, and for each change that led to a pause."""
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
    """Return a line without control characters, markup and mentions such as `@everyone`."""
    text = printable(line, _LINE_LENGTH)
    return text.translate({ord("<"): "\u2039", ord(">"): "\u203a", ord("@"): "\uff20"})
