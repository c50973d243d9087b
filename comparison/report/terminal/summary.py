"""A summary and its conclusion as tables for a terminal of 80 columns or more."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from rich.console import Console
from rich.text import Text

from comparison.evidence.alarms import Alarms, SegmentTable
from comparison.evidence.number_format import (
    decimals_for,
    fixed,
    p_value,
    percent,
    percent_interval,
    plural,
    seconds,
    times,
    times_interval,
    values_or_range,
)
from comparison.evidence.statistics import Proportion
from comparison.pairs.accounting import Worker
from comparison.report.terminal.excerpt import ELSEWHERE, Section, print_sections
from comparison.report.terminal.kinds import print_kinds
from comparison.report.terminal.outcomes import print_outcomes
from comparison.report.terminal.quality import print_quality
from comparison.report.terminal.tables import add_row, new_table, note, print_pairs, print_table
from comparison.summary.conclusion import Conclusion
from comparison.summary.figures import OutputFigures, Summary
from flags.errors import (
    AnswerUnreadableError,
    CallerLeftError,
    NonFiniteScoreError,
    SideBusyError,
    SideDownError,
    SideStuckError,
)
from flags.gate.evidence import Evidence
from flags.printable import printable

SEGMENT_ROWS: Final = 6
"""Values of a segment that are printed; --json has all of them."""


def print_summary(
    summary: Summary,
    conclusion: Conclusion,
    console: Console,
    evidence: Evidence | None = None,
    *,
    now: datetime,
    elsewhere: str = ELSEWHERE,
) -> None:
    """Print everything, the conclusion last, where the eye is when the prompt returns.

    `now` tells workers that run from those that are gone without an end, `elsewhere` where the
    lines are that are left out.
    """
    scores = partial(_print_scores, summary.outputs[0]) if len(summary.outputs) == 1 else None
    outputs = list(_output_sections(summary, scores))
    sections: list[Section] = [
        partial(_print_header, summary, now=now),
        partial(_print_traffic, summary),
        partial(_print_sides, summary),
        *outputs,
        *([partial(_print_labelled, evidence)] if evidence else []),
        partial(_print_conclusion, conclusion),
    ]
    print_sections(console, sections, expendable=scores, elsewhere=elsewhere)


def _output_sections(summary: Summary, scores: Section | None) -> Iterator[Section]:
    """Yield the sections of the one output, or one that has a line for each of several."""
    if scores is None:
        yield partial(_print_overview, summary)
        return
    output = summary.outputs[0]
    if output.alarms:
        yield partial(_print_alarms, output, output.alarms)
    yield scores
    yield from _segment_sections(output)


def _print_labelled(evidence: Evidence, console: Console) -> None:
    for described in evidence.outputs:
        print_quality(described, console)
    print_kinds(evidence, console)
    print_outcomes(evidence, console)


def _print_overview(summary: Summary, console: Console) -> None:
    """Print a line for each of several outputs, those with the farthest ratio first."""
    decided = [output for output in summary.outputs if output.alarms]
    if decided:
        headings = ("output", "primary", "candidate", "ratio", "interval", "agree")
        table = new_table("Alarms of each output", *headings)
        for output in sorted(decided, key=_distance):
            add_row(table, output.output, *_alarm_cells(output.alarms))
        print_table(table, console)
    if summary.agreement:
        note(
            console,
            f"all {len(summary.outputs)} outputs: the same decisions in "
            f"{percent(summary.agreement.rate)} of {summary.agreement.total:,} pairs "
            f"({percent_interval(summary.agreement)})",
        )
    others = [output for output in summary.outputs if not output.alarms]
    if others:
        _print_medians(others, console)


def _alarm_cells(alarms: Alarms | None) -> tuple[str, ...]:
    if alarms is None:
        return ()
    return (
        percent(alarms.primary.rate),
        percent(alarms.candidate.rate),
        times(alarms.ratio),
        times_interval(alarms.ratio),
        percent(alarms.agreement.rate),
    )


def _print_medians(outputs: Sequence[OutputFigures], console: Console) -> None:
    headings = ("output", "primary", "candidate", "|difference|")
    table = new_table("Medians of each output without a threshold", *headings)
    for output in outputs:
        primary, candidate = (output.scores[side][0.5] for side in ("primary", "candidate"))
        values = (primary, candidate, output.differences[0.5])
        decimals = decimals_for(values)
        add_row(table, output.output, *(fixed(value, decimals) for value in values))
    print_table(table, console)


def _distance(output: OutputFigures) -> float:
    value = output.alarms.ratio.value if output.alarms else None
    return -abs(math.log(value)) if value and math.isfinite(value) else -math.inf


def _print_header(summary: Summary, console: Console, *, now: datetime) -> None:
    console.print(Text(f"{printable(summary.flag)}: candidate against primary", style="bold"))
    rows = [
        ("pairs", f"{summary.pairs:,}, {_completeness(summary, now)}"),
        ("time", f"{summary.first:%Y-%m-%d %H:%M:%S} to {summary.last:%Y-%m-%d %H:%M:%S} UTC"),
        ("from", f"{summary.source} ({plural(summary.accounting.files, 'file')})"),
    ]
    rows += [
        (side.side, _listed(side.models))
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
    made = set[str]().union(*(worker.flags for worker in accounting.workers))
    flags = f" for {len(made)} flags" if len(made) > 1 else ""
    return (
        f"complete {percent(accounting.completeness)}: {accounting.found:,} of "
        f"{accounting.expected:,} made{flags} by {plural(len(accounting.workers), 'worker')}"
        + _open_ends(accounting.open_ends(now))
    )


def _open_ends(workers: Sequence[Worker]) -> str:
    """Say what may be missing at the end of a record, which leaves no gap in its numbers."""
    if not workers:
        return ""
    lacking = [worker.may_lack for worker in workers if worker.may_lack is not None]
    known = len(lacking) == len(workers)
    what = f"up to {sum(lacking):,} more" if known else "nobody knows how many more"
    return f" ({len(workers):,} ended without a stop record and made {what})"


def _set_aside(summary: Summary) -> str:
    read = summary.accounting
    parts = (
        (read.duplicates, plural(read.duplicates, "duplicate")),
        (read.foreign, plural(read.foreign, "foreign span")),
        (read.negative, plural(read.negative, "pair") + " with negative durations, kept"),
        (read.torn, f"{plural(read.torn, 'file')} cut off (first: {read.first_torn})"),
        (read.corrupt, f"{read.corrupt:,} corrupt (first: {read.first_corrupt})"),
    )
    return ", ".join(text for count, text in parts if count)


def _listed(counts: dict[str, int], limit: int = 4) -> str:
    names = [f"{name} ({count:,})" for name, count in list(counts.items())[:limit]]
    more = len(counts) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _print_traffic(summary: Summary, console: Console) -> None:
    traffic = summary.traffic
    table = new_table("Who answered", "flag at", "pairs", "active", "share", "interval", "served")
    for share in traffic.by_rollout:
        at = "unknown" if share.rollout is None else f"{share.rollout:g} %"
        add_row(table, at, *_share_cells(share.active, share.served))
    if len(traffic.by_rollout) > 1:
        add_row(table, "all", *_share_cells(traffic.active, traffic.served))
    print_table(table, console)
    note(
        console,
        "active, share and served are the candidate's; fallbacks to the primary "
        f"{traffic.fallback.count:,}, without an answer {traffic.unanswered.count:,}",
    )


def _share_cells(active: Proportion, served: Proportion) -> tuple[str, ...]:
    return (
        f"{active.total:,}",
        f"{active.count:,}",
        percent(active.rate),
        percent_interval(active),
        f"{served.count:,}",
    )


_MEANINGS: Final = {
    error.__name__: meaning
    for error, meaning in (
        (SideBusyError, "the call waited in line for its whole time limit, behind other calls"),
        (SideStuckError, "every thread of the side hangs, so the call was not begun"),
        (SideDownError, "the candidate's process was not there, or ended before it answered"),
        (CallerLeftError, "the caller went away before its stream had ended"),
        (NonFiniteScoreError, "a compared number is NaN or infinite"),
        (AnswerUnreadableError, "what is compared was not found in the answer"),
    )
}
"""What the errors mean that are ours, and not the models'."""


def _print_sides(summary: Summary, console: Console) -> None:
    sides = (summary.primary, summary.candidate)
    table = new_table("How each side fared", "", "primary", "", "candidate", "")
    for status in summary.primary.statuses:
        cells = [side.statuses[status] for side in sides]
        if not any(cell.count for cell in cells):
            continue
        add_row(
            table,
            status,
            *(text for cell in cells for text in (f"{cell.count:,}", percent(cell.rate))),
        )
    for quantile in summary.primary.latency:
        name = f"p{100 * quantile:g} of ok"
        primary, candidate = (seconds(side.latency[quantile]) for side in sides)
        add_row(table, name, primary, "", candidate, "")
    print_table(table, console)
    for side in sides:
        if side.errors:
            note(console, f"{side.side} errors: {_listed(side.errors)}")
    for name in sorted({*summary.primary.errors, *summary.candidate.errors} & {*_MEANINGS}):
        note(console, f"{name}: {_MEANINGS[name]}")
    left_out = f"; left out: {_listed(summary.left_out)}" if summary.left_out else ""
    note(console, f"both sides ok, compared below: {summary.paired:,} pairs{left_out}")


def _segment_sections(output: OutputFigures) -> Iterator[Section]:
    segments: dict[str, list[SegmentTable]] = {}
    for segment in output.segments:
        segments.setdefault(segment.segment, []).append(segment)
    for name, values in segments.items():
        yield partial(_print_segments, f"Alarms by {name}: {output.output}", values)


def _print_alarms(output: OutputFigures, alarms: Alarms, console: Console) -> None:
    table = new_table(f"Alarms: {output.output}", "", "threshold", "alarms", "rate", "interval")
    for side, fired in (("primary", alarms.primary), ("candidate", alarms.candidate)):
        thresholds = values_or_range(output.thresholds[side], most=3)
        add_row(
            table,
            side,
            thresholds,
            f"{fired.count:,}",
            percent(fired.rate),
            percent_interval(fired),
        )
    print_table(table, console)
    flips = alarms.flips
    matrix = new_table("", "pairs", "candidate alarm", "candidate none", "total")
    for name, alarm, none in (
        ("primary alarm", flips.both, flips.primary_only),
        ("primary none", flips.candidate_only, flips.neither),
        ("total", alarms.candidate.count, flips.pairs - alarms.candidate.count),
    ):
        add_row(matrix, name, f"{alarm:,}", f"{none:,}", f"{alarm + none:,}")
    print_table(matrix, console)
    note(
        console,
        f"alarm ratio {times(alarms.ratio)} ({times_interval(alarms.ratio)}), agreement "
        f"{percent(alarms.agreement.rate)} ({percent_interval(alarms.agreement)}), "
        f"n={flips.pairs:,}",
    )
    note(
        console,
        f"flips: {flips.candidate_only:,} to alarm, {flips.primary_only:,} to none, "
        f"McNemar mid-p {p_value(alarms.mid_p)}",
    )


def _print_scores(output: OutputFigures, console: Console) -> None:
    primary, candidate = output.scores["primary"], output.scores["candidate"]
    decimals = decimals_for([*primary.values(), *candidate.values()])
    table = new_table(
        f"Scores: {output.output}", "quantile", "primary", "candidate", "|difference|"
    )
    for quantile in primary:
        add_row(
            table,
            "max" if quantile == 1 else f"{quantile:g}",
            fixed(primary[quantile], decimals),
            fixed(candidate[quantile], decimals),
            fixed(output.differences[quantile], decimals),
        )
    print_table(table, console)
    if output.mean_difference is not None:
        direction = "higher" if output.mean_difference > 0 else "lower"
        distance = fixed(abs(output.mean_difference), decimals)
        note(console, f"the candidate scores {distance} {direction} on average")


def _print_segments(title: str, segments: Sequence[SegmentTable], console: Console) -> None:
    table = new_table(title, "value", "pairs", "primary", "candidate", "ratio", "interval")
    for segment in segments[:SEGMENT_ROWS]:
        alarms = segment.alarms
        add_row(
            table,
            "(none)" if segment.value is None else segment.value,
            f"{alarms.flips.pairs:,}",
            percent(alarms.primary.rate),
            percent(alarms.candidate.rate),
            times(alarms.ratio),
            times_interval(alarms.ratio),
        )
    print_table(table, console)
    if len(segments) > SEGMENT_ROWS:
        note(console, f"and {len(segments) - SEGMENT_ROWS:,} more values with fewer pairs")


def _print_conclusion(conclusion: Conclusion, console: Console) -> None:
    console.print()
    console.print(Text("What it means", style="bold"))
    style = "bold red" if conclusion.hold else "bold green"
    for reason in conclusion.reasons or ("no objection from these figures",):
        console.print(Text(printable(reason), style=style))
    for remark in conclusion.remarks:
        console.print(Text(printable(remark)))
