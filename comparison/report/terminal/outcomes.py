"""The metrics of outcomes for a terminal."""

from rich.console import Console

from comparison.evidence.number_format import between, percent, ratio
from comparison.report.outcome_summary import OutcomeSummary, outcome_summaries
from comparison.report.terminal.tables import add_row, new_table, note, print_table
from flags.gate.evidence import Evidence


def print_outcomes(evidence: Evidence, console: Console) -> None:
    """Print each metric with both arms and its ratios; nothing without outcomes."""
    for summary in outcome_summaries(evidence):
        _print(summary, console)


def _print(summary: OutcomeSummary, console: Console) -> None:
    if summary.arms:
        table = new_table(
            f"Outcome: {summary.name}", "arm", summary.unit, "happened", "flips", "happened there"
        )
        for arm in summary.arms:
            there = f"{arm.events_on_flips.count:,} ({percent(arm.events_on_flips.rate)})"
            happened = f"{arm.events.count:,} ({percent(arm.events.rate)})"
            add_row(table, arm.side, f"{arm.units:,}", happened, f"{arm.flips:,}", there)
        print_table(table, console)
    for each in summary.ratios:
        value, bounds = (
            each.interval.value,
            between(ratio(each.interval.low), ratio(each.interval.high)),
        )
        text = "nothing happened" if value is None else f"{ratio(value)}x ({bounds})"
        note(console, f"{summary.name} {each.name}: {text}")
    for age in summary.novelty:
        times = ratio(age.candidate / age.primary) if age.primary else "-"
        note(console, f"{summary.name}, units of {age.age}: {times}x on flips")
    for text in summary.missing:
        note(console, f"{summary.name}: {text}")
