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
"""Columns of the terminal from which there is room for the column n."""

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
    """Print evidence and verdict in at most LINES lines; the verdict is last, above the prompt."""
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
    for text in dict.fromkeys(evidence.notes):
        note(console, text)


def _print_header(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    window, integrity = evidence.window, evidence.integrity
    heading = f"{printable(window.flag)}: {judgement.step.name}"
    console.print(Text(heading, style="bold"))
    complete = Count(integrity.found, integrity.expected or 0).rate
    aside = (
        f", {window.pairs_of_other_rollouts:,} at other rollouts"
        if window.pairs_of_other_rollouts
        else ""
    )
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
    """Print the checks that failed or are open, and those that passed by an interval.

    A narrow terminal shows only the upper end of a limit that is a range, and no n.
    """
    headings = ("check", "figure", "interval", "advance", "rollback")
    is_wide = console.width >= _WIDE
    table = new_table("Checks", "", *headings, *(["n"] if is_wide else []), left=2)
    for checks in _grouped(judgement.verdict.checks):
        check = checks[0]
        if _needs_no_row(check):
            continue
        written = write_check(check, judgement, evidence)
        name = f"{written.title} {written.about}".strip() + _more(checks)
        limits = written.advance, written.rollback
        if not is_wide:
            limits = limits[0].rpartition(" to ")[2], limits[1].rpartition(" to ")[2]
        figures = (written.figure, written.interval, *limits, *([written.n] if is_wide else []))
        add_row(table, _WORDS[check.outcome], name, *figures, style=_STYLES[check.outcome])
    if table.row_count:
        print_table(table, console)


def _print_passed(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    """Name the checks that passed and have no interval, and explain how to read the checks."""
    names = []
    for checks in _grouped(judgement.verdict.checks):
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


def _grouped(checks: Sequence[Check]) -> list[list[Check]]:
    """Group checks of the same name and outcome, such as the checks of all segments."""
    groups: dict[tuple[str, Outcome, bool], list[Check]] = {}
    for check in gravest_first(checks):
        has_interval = check.low is not None
        groups.setdefault((check.name, check.outcome, has_interval), []).append(check)
    return list(groups.values())


def _print_decision(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    words = headline(evidence, judgement)
    console.print()
    style = _STYLES[words.decision]
    console.print(Text(f"{words.decision}: {words.consequence}", style=style))
    reasons = (*words.reasons, *words.more)
    print_list(console, reasons[:REASONS])
    more = len(reasons) - REASONS
    if more > 0:
        note(console, f"and {plural(more, 'more reason')}; --json has all of them")
    for each in words.following:
        note(console, each)
