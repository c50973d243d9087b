"""The outputs of a first comparison as tables: alarms, scores and segments."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from rich.console import Console

from comparison.evidence.alarms import Alarms, SegmentTable
from comparison.evidence.number_format import (
    decimals_for,
    fixed,
    p_value,
    percent,
    percent_interval,
    times,
    times_interval,
    values_or_range,
)
from comparison.report.terminal.excerpt import Section
from comparison.report.terminal.tables import add_row, new_table, note, print_table
from comparison.summary.figures import OutputFigures, Summary

SEGMENT_ROWS: Final = 6
"""Values of a segment that are printed; --json has all of them."""


def output_sections(summary: Summary) -> tuple[Section | None, list[Section]]:
    """Return the section of scores and all sections; for several outputs, None and an overview."""
    if len(summary.outputs) != 1:
        return None, [partial(_print_overview, summary)]
    output = summary.outputs[0]
    scores = partial(_print_scores, output)
    alarms = [partial(_print_alarms, output, output.alarms)] if output.alarms else []
    return scores, [*alarms, scores, *_segment_sections(output)]


def _print_overview(summary: Summary, console: Console) -> None:
    """Print a line for each of several outputs; the alarm ratio farthest from 1 comes first."""
    with_alarms = [output for output in summary.outputs if output.alarms]
    if with_alarms:
        headings = ("output", "primary", "candidate", "ratio", "interval", "agree")
        table = new_table("Alarms of each output", *headings)
        for output in sorted(with_alarms, key=_distance):
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
    """Return a sort key by the distance of the alarm ratio from 1, the farthest first."""
    value = output.alarms.ratio.value if output.alarms else None
    return -abs(math.log(value)) if value and math.isfinite(value) else -math.inf


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
