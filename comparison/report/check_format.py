"""A check as text: its title, and its figures in their unit."""

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
"""Signs beside the colours of outcomes, since not every reader can tell the colours apart."""

DEFAULT_LEVEL: Final = 0.95
"""The confidence level of an interval that is shown without a level."""


@dataclass(frozen=True, slots=True)
class WrittenCheck:
    """The texts of a check's table cells; an unknown value is a dash."""

    title: str
    about: str
    """Output, segment and name of an outcome or alarm; empty for a check of the whole service."""
    outcome: str
    sign: str
    figure: str
    interval: str
    advance: str
    """The limit to advance."""
    rollback: str
    """The limit to roll back."""
    n: str
    reason: str
    is_optional: bool
    """Whether the verdict can be ADVANCE without it."""
    pass_note: str
    """The reason if it passes without its limit: a latency may be fast enough by itself."""


def write_check(check: Check, judgement: Judgement, evidence: Evidence) -> WrittenCheck:
    """Return the cells of a check; the output is named if there are several."""
    window, named = evidence.window, evidence.compared > 1
    age = window.until - window.comparable_since
    limits = check_limits(check, judgement.playbook, judgement.step, age)
    write = _precise(check, limits)
    has_interval = check.low is not None or check.high is not None
    advance, rollback = ("-" if each is None else each.text(write) for each in limits)
    about = (check.output if named else None, check.segment, check.subject)
    return WrittenCheck(
        title=title(check.name),
        about=", ".join(part for part in about if part),
        outcome=check.outcome.upper(),
        sign=SIGNS[check.outcome],
        figure=write(check.figure),
        interval=_interval(check, write) if has_interval else "-",
        advance=advance,
        rollback=rollback,
        n=f"{check.n:,}",
        reason=check.reason,
        is_optional=not check.required,
        pass_note=" (fast enough)" if _is_fast_enough(check) else "",
    )


def _precise(check: Check, limits: Iterable[Limit | None]) -> Write:
    """Return a writer with enough digits to show on which side of its limits a check is."""
    write, bounds = check_row(check.name).write, [each.bounds for each in limits if each]
    more = extra_digits(write, (check.figure, check.low, check.high), chain(*bounds))
    return lambda value, _more=0, /: write(value, more)


def _interval(check: Check, write: Write) -> str:
    """Write the bounds of the interval, and its level if that is not DEFAULT_LEVEL."""
    bounds = between(write(check.low), write(check.high))
    if check.confidence is None or check.confidence == DEFAULT_LEVEL:
        return bounds
    return f"{bounds} ({level(check.confidence)})"


def _is_fast_enough(check: Check) -> bool:
    """Say whether a latency passes by `fast_enough`, without a decision on its ratio."""
    return (
        check.name.startswith("latency_")
        and check.outcome is Outcome.PASS
        and check.confidence is None
    )


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """The number of checks with one outcome."""

    outcome: str
    sign: str
    number: int


def count_outcomes(checks: Sequence[Check]) -> tuple[OutcomeCount, ...]:
    """Count the checks by outcome, the gravest first; outcomes without checks are left out."""
    outcomes = [check.outcome for check in checks]
    return tuple(
        OutcomeCount(each.upper(), SIGNS[each], outcomes.count(each))
        for each in BY_GRAVITY
        if each in outcomes
    )


def gravest_first(checks: Iterable[Check]) -> list[Check]:
    """Sort checks by outcome: failed, then inconclusive, then passed.

    Among equal outcomes, required checks come first, then those beyond their limit.
    """
    return sorted(
        checks,
        key=lambda check: (
            BY_GRAVITY.index(check.outcome),
            not check.required,
            not check.beyond_advance_limit,
        ),
    )


def title(name: str) -> str:
    """Return the title of a check: `alarm ratio` for `alarm_ratio`."""
    return check_row(name).title or name.replace("_", " ")
