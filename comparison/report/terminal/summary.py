"""A summary and its conclusion for a terminal of 80 columns or more."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from rich.console import Console
from rich.text import Text

from comparison.evidence.number_format import percent
from comparison.pairs.workers import Worker
from comparison.report.terminal.excerpt import ELSEWHERE, Section, print_sections
from comparison.report.terminal.kinds import print_kinds
from comparison.report.terminal.outcomes import print_outcomes
from comparison.report.terminal.quality import print_offers, print_quality
from comparison.report.terminal.summary_outputs import output_sections
from comparison.report.terminal.summary_sides import print_sides, print_traffic
from comparison.report.terminal.tables import listed, print_pairs
from comparison.summary.conclusion import Conclusion
from comparison.summary.figures import Summary
from flags.gate.evidence import Evidence
from flags.gate.number_format import plural
from flags.printable import printable


def print_summary(
    summary: Summary,
    conclusion: Conclusion,
    console: Console,
    evidence: Evidence | None = None,
    *,
    now: datetime,
    elsewhere: str = ELSEWHERE,
) -> None:
    """Print all sections; the conclusion is last, so that it is just above the next prompt.

    `now` decides which workers have ended without a stop record, `elsewhere` is the hint where
    omitted lines are.
    """
    scores, outputs = output_sections(summary)
    sections: list[Section] = [
        partial(_print_header, summary, now=now),
        partial(print_traffic, summary),
        partial(print_sides, summary),
        *outputs,
        *([partial(_print_labelled, evidence)] if evidence else []),
        *([partial(print_offers, evidence.outputs)] if evidence else []),
        partial(_print_conclusion, conclusion),
    ]
    print_sections(console, sections, expendable=scores, elsewhere=elsewhere)


def _print_labelled(evidence: Evidence, console: Console) -> None:
    for described in evidence.outputs:
        print_quality(described, console)
    print_kinds(evidence, console)
    print_outcomes(evidence, console)


def _print_header(summary: Summary, console: Console, *, now: datetime) -> None:
    console.print(Text(f"{printable(summary.flag)}: candidate against primary", style="bold"))
    rows = [
        ("pairs", f"{summary.pairs:,}, {_completeness(summary, now)}"),
        ("time", f"{summary.first:%Y-%m-%d %H:%M:%S} to {summary.last:%Y-%m-%d %H:%M:%S} UTC"),
        ("from", f"{summary.source} ({plural(summary.accounting.files, 'file')})"),
    ]
    rows += [
        (side.side, listed(side.models))
        for side in (summary.primary, summary.candidate)
        if side.models
    ]
    rows.append(("intervals", "of 95 % unless a level is named"))
    if aside := _set_aside(summary):
        rows.append(("set aside", aside))
    print_pairs(console, rows)


def _completeness(summary: Summary, now: datetime) -> str:
    accounting = summary.accounting
    if accounting.completeness is None:
        return "without sequence numbers"
    flags = set[str]().union(*(worker.flags for worker in accounting.workers))
    for_flags = f" for {len(flags)} flags" if len(flags) > 1 else ""
    return (
        f"complete {percent(accounting.completeness)}: {accounting.found:,} of "
        f"{accounting.expected:,} made{for_flags} by {plural(len(accounting.workers), 'worker')}"
        + _unclosed_records(accounting.unclosed_records(now))
    )


def _unclosed_records(workers: Sequence[Worker]) -> str:
    """Say how many last pairs of ended workers may be missing, which leaves no gap in numbers."""
    if not workers:
        return ""
    lacking = [worker.max_lost_pairs for worker in workers if worker.max_lost_pairs is not None]
    is_known = len(lacking) == len(workers)
    more = f"up to {sum(lacking):,} more" if is_known else "an unknown number more"
    return f" ({len(workers):,} ended without a stop record and made {more})"


def _set_aside(summary: Summary) -> str:
    """Name the lines, spans and pairs that are not counted, or are unusual."""
    read = summary.accounting
    parts = (
        (read.duplicates, plural(read.duplicates, "duplicate")),
        (read.foreign, f"{plural(read.foreign, 'span')} of other programs"),
        (
            read.negative_durations,
            plural(read.negative_durations, "pair") + " with negative durations, kept",
        ),
        (read.torn, f"{plural(read.torn, 'file')} cut off (first: {read.first_torn})"),
        (read.corrupt, f"{read.corrupt:,} corrupt (first: {read.first_corrupt})"),
    )
    return ", ".join(text for count, text in parts if count)


def _print_conclusion(conclusion: Conclusion, console: Console) -> None:
    console.print()
    console.print(Text("What it means", style="bold"))
    style = "bold red" if conclusion.hold else "bold green"
    for reason in conclusion.reasons or ("no objection from these figures",):
        console.print(Text(printable(reason), style=style))
    for remark in conclusion.remarks:
        console.print(Text(printable(remark)))
