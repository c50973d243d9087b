"""A verdict with its checks for a terminal of 80 columns or more."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from rich.console import Console
from rich.text import Text

from comparison.evidence.number_format import percent, span
from comparison.judgement.judgement import Judgement
from comparison.report.check_format import gravest_first, write_check
from comparison.report.headline import headline
from comparison.report.terminal.excerpt import print_sections
from comparison.report.terminal.kinds import print_kinds
from comparison.report.terminal.operational import print_operational
from comparison.report.terminal.outcomes import print_outcomes
from comparison.report.terminal.quality import print_offers, print_quality
from comparison.report.terminal.tables import (
    add_row,
    new_table,
    note,
    print_list,
    print_pairs,
    print_table,
)
from flags.gate.evidence import Count, Evidence
from flags.gate.number_format import plural
from flags.gate.verdict import Check, Decision, Outcome
from flags.printable import printable

_WIDE: Final = 100
"""Columns from which there is room for what a figure rests on."""

REASONS: Final = 8
"""Reasons that are printed; --json has all of them."""

_WORDS: Final = {Outcome.PASS: "PASS", Outcome.FAIL: "FAIL", Outcome.INCONCLUSIVE: "?"}

_STYLES: Final = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Decision.ADVANCE: "bold green",
    Decision.HOLD: "bold yellow",
    Decision.ROLLBACK: "bold red",
}


def print_verdict(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    """Print it in LINES lines at most, the verdict last, where the eye is in the end."""
    checks = partial(_print_checks, evidence, judgement)
    decision = partial(_print_decision, evidence, judgement)
    print_sections(
        console,
        [
            partial(_print_header, evidence, judgement),
            checks,
            partial(_print_passed, evidence, judgement),
            partial(print_operational, evidence),
            partial(print_outcomes, evidence),
            partial(_print_qualities, evidence),
            partial(print_kinds, evidence),
            partial(print_offers, evidence.outputs),
            partial(_print_notes, evidence),
            decision,
        ],
        favoured=(checks, decision),
    )


def _print_qualities(evidence: Evidence, console: Console) -> None:
    for output in evidence.outputs:
        print_quality(output, console)


def _print_notes(evidence: Evidence, console: Console) -> None:
    for said in dict.fromkeys(evidence.notes):
        note(console, said)


def _print_header(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    window, integrity = evidence.window, evidence.integrity
    heading = f"{printable(window.flag)}: {judgement.step.name}"
    console.print(Text(heading, style="bold"))
    complete = Count(integrity.found, integrity.expected or 0).rate
    aside = f", {window.other_rollouts:,} at other rollouts" if window.other_rollouts else ""
    print_pairs(
        console,
        [
            ("pairs", f"{window.pairs:,}, complete {percent(complete)}{aside}"),
            (
                "time",
                f"{window.since:%Y-%m-%d %H:%M:%S} to {window.until:%Y-%m-%d %H:%M:%S} UTC "
                f"({span(window.age)})",
            ),
            ("from", evidence.source),
        ],
    )


def _print_checks(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    """Print what has failed or is open, and what has passed by an interval.

    Where there are few columns, a limit x that holds for 1/x too is x alone, and n is left out.
    """
    headings = ("check", "figure", "interval", "advance", "rollback")
    is_wide = console.width >= _WIDE
    cells = new_table("Checks", "", *headings, *(["n"] if is_wide else []), left=2)
    for checks in _alike(judgement.verdict.checks):
        check = checks[0]
        if _needs_no_row(check):
            continue
        written = write_check(check, judgement, evidence)
        name = f"{written.title} {written.about}".strip() + _more(checks)
        limits = written.advance, written.rollback
        if not is_wide:
            limits = limits[0].rpartition(" to ")[2], limits[1].rpartition(" to ")[2]
        figures = (written.figure, written.interval, *limits, *([written.n] if is_wide else []))
        add_row(cells, _WORDS[check.outcome], name, *figures, style=_STYLES[check.outcome])
    if cells.row_count:
        print_table(cells, console)


def _print_passed(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    """Name what has passed without chance in it, and say how to read the checks."""
    names = []
    for checks in _alike(judgement.verdict.checks):
        if _needs_no_row(checks[0]):
            written = write_check(checks[0], judgement, evidence)
            names.append(f"{written.title}{written.pass_note}{_more(checks)}")
    if names:
        note(console, f"PASS: {', '.join(names)}")
    note(console, "?: inconclusive; intervals are of 95 % unless a level is named")


def _needs_no_row(check: Check) -> bool:
    return check.outcome is Outcome.PASS and check.low is None


def _more(checks: Sequence[Check]) -> str:
    return f" and {len(checks) - 1:,} more" if len(checks) > 1 else ""


def _alike(checks: Sequence[Check]) -> list[list[Check]]:
    """Put checks of one kind and outcome together, such as those of all segments."""
    found: dict[tuple[str, Outcome, bool], list[Check]] = {}
    for check in gravest_first(checks):
        has_interval = check.low is not None
        found.setdefault((check.name, check.outcome, has_interval), []).append(check)
    return list(found.values())


def _print_decision(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    said = headline(evidence, judgement)
    console.print()
    style = _STYLES[said.decision]
    console.print(Text(f"{said.decision}: {said.consequence}", style=style))
    reasons = (*said.reasons, *said.more)
    print_list(console, reasons[:REASONS])
    left = len(reasons) - REASONS
    if left > 0:
        note(console, f"and {plural(left, 'more reason')}; --json has all of them")
    for each in said.following:
        note(console, each)
