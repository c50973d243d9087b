"""A verdict with its checks for a terminal of 80 columns or more."""

from typing import Final

from rich.console import Console
from rich.text import Text

from comparison.evidence.number_format import percent, plural, printable, span
from comparison.judgement.judgement import Judgement
from comparison.report.check_format import gravest_first, write_check
from comparison.report.forecast import forecast
from comparison.report.terminal.kinds import print_kinds
from comparison.report.terminal.operational import print_operational
from comparison.report.terminal.outcomes import print_outcomes
from comparison.report.terminal.quality import print_quality
from comparison.report.terminal.tables import add_row, new_table, note, print_pairs, print_table
from flags.gate.evidence import Count, Evidence
from flags.gate.next_step import next_step
from flags.gate.verdict import Decision, Outcome

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
    """Print everything, the verdict last, where the eye is when the prompt returns."""
    _print_header(evidence, judgement, console)
    _print_checks(evidence, judgement, console)
    print_operational(evidence, console)
    print_outcomes(evidence, console)
    for output in evidence.outputs:
        print_quality(output, console)
    print_kinds(evidence, console)
    for said in evidence.notes:
        note(console, said)
    _print_decision(evidence, judgement, console)


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
    headings = ("check", "figure", "interval", "advance", "rollback", "n")
    cells = new_table("Checks", "", *headings, left=2)
    for check in gravest_first(judgement.verdict.checks):
        written = write_check(check, judgement, evidence)
        name = f"{written.title} {written.about}".strip()
        limits = written.advance, written.rollback
        figures = written.figure, written.interval, *limits, written.n
        add_row(cells, _WORDS[check.outcome], name, *figures, style=_STYLES[check.outcome])
    print_table(cells, console)
    note(console, "?: inconclusive")


def _print_decision(evidence: Evidence, judgement: Judgement, console: Console) -> None:
    verdict = judgement.verdict
    console.print()
    style = _STYLES[verdict.decision]
    console.print(Text(f"{verdict.decision}: {judgement.consequence}", style=style))
    for reason in verdict.reasons[:REASONS]:
        console.print(Text(f"- {printable(reason)}"))
    more = len(verdict.reasons) - REASONS
    if more > 0:
        note(console, f"and {plural(more, 'more reason')}; --json has all of them")
    following = next_step(evidence, verdict, judgement.playbook, judgement.step)
    if verdict.decision is Decision.HOLD and following is not None:
        note(console, f"next: {forecast(following, evidence.window.until)}")
