"""A check as text: its name, and its figures in their unit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from comparison.evidence.number_format import between
from comparison.judgement.judgement import Judgement
from comparison.report.check_limits import Limit, check_limits
from comparison.report.check_table import Write, check_row
from flags.gate.evidence import Evidence
from flags.gate.number_format import extra_digits, level
from flags.gate.verdict import BY_GRAVITY, Check, Outcome

SIGNS: Final = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?"}
"""So that no outcome is told by its colour alone."""

USUAL_LEVEL: Final = 0.95
"""Of an interval that names none."""


@dataclass(frozen=True, slots=True)
class WrittenCheck:
    """Hold the words of a check's cells; what is not known is a dash."""

    title: str
    about: str
    """Output and segment, or an alarm's name; empty for a check of the whole service."""
    outcome: str
    sign: str
    figure: str
    interval: str
    advance: str
    """The limit to go on."""
    rollback: str
    n: str
    reason: str
    needless: bool
    """Whether going on does not depend on it."""
    pass_note: str
    """Why it passes, where that is not by its limit: a latency may be fast enough by itself."""


def write_check(check: Check, judgement: Judgement, evidence: Evidence) -> WrittenCheck:
    """Return the cells of a check, with the output's name where there are several."""
    window, named = evidence.window, evidence.compared > 1
    age = window.until - window.begun
    limits = check_limits(check, judgement.playbook, judgement.step, age)
    write = _apart(check, limits)
    known = check.low is not None or check.high is not None
    advance, rollback = ("-" if each is None else each.written(write) for each in limits)
    about = (check.output if named else None, check.segment, check.subject)
    return WrittenCheck(
        title=title(check.name),
        about=", ".join(part for part in about if part),
        outcome=check.outcome.upper(),
        sign=SIGNS[check.outcome],
        figure=write(check.figure),
        interval=_interval(check, write) if known else "-",
        advance=advance,
        rollback=rollback,
        n=f"{check.n:,}",
        reason=check.reason,
        needless=not check.required,
        pass_note=" (fast enough)" if _is_fast_enough(check) else "",
    )


def _apart(check: Check, limits: Iterable[Limit | None]) -> Write:
    """Return how to write a check so that one sees on which side of its limits it is."""
    write, bounds = check_row(check.name).write, [each.bounds for each in limits if each]
    more = extra_digits(write, (check.figure, check.low, check.high), chain(*bounds))
    return lambda value, _more=0, /: write(value, more)


def _interval(check: Check, write: Write) -> str:
    """Write the bounds, and the level where it is another one than that of all others."""
    bounds = between(write(check.low), write(check.high))
    if check.confidence is None or check.confidence == USUAL_LEVEL:
        return bounds
    return f"{bounds} ({level(check.confidence)})"


def _is_fast_enough(check: Check) -> bool:
    """Say whether a latency passes by `fast_enough`: then no ratio has been decided."""
    return (
        check.name.startswith("latency_")
        and check.outcome is Outcome.PASS
        and check.confidence is None
    )


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Count the checks of one outcome."""

    outcome: str
    sign: str
    number: int


def count_outcomes(checks: Sequence[Check]) -> tuple[OutcomeCount, ...]:
    """Count the checks by outcome, the gravest first; outcomes that nobody has are left out."""
    outcomes = [check.outcome for check in checks]
    return tuple(
        OutcomeCount(each.upper(), SIGNS[each], outcomes.count(each))
        for each in BY_GRAVITY
        if each in outcomes
    )


def gravest_first(checks: Iterable[Check]) -> list[Check]:
    """Put what failed before what is not known yet, and that before what passed."""
    return sorted(
        checks,
        key=lambda check: (BY_GRAVITY.index(check.outcome), not check.required, not check.beyond),
    )


def title(name: str) -> str:
    """Return the name of a check in words: `alarm_ratio` is `alarm ratio`."""
    return check_row(name).title or name.replace("_", " ")
