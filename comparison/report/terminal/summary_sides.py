"""Tables of a first comparison: the side that answered, and the health of each side."""

from typing import Final

from rich.console import Console

from comparison.evidence.number_format import percent, percent_interval, seconds
from comparison.evidence.statistics import Proportion
from comparison.report.terminal.tables import add_row, listed, new_table, note, print_table
from comparison.summary.figures import Summary
from flags.errors import (
    AnswerUnreadableError,
    CallerLeftError,
    NonFiniteScoreError,
    SideBusyError,
    SideDownError,
    SideStuckError,
)
from flags.gate.number_format import plural


def print_traffic(summary: Summary, console: Console) -> None:
    """Print which side the flag made active, by rollout."""
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
"""The meanings of errors that this plugin records, as opposed to errors of the models."""


def print_sides(summary: Summary, console: Console) -> None:
    """Print statuses, latency and errors of both sides."""
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
            note(console, f"{side.side} errors: {listed(side.errors)}")
    for name in sorted({*summary.primary.errors, *summary.candidate.errors} & {*_MEANINGS}):
        note(console, f"{name}: {_MEANINGS[name]}")
    left_out = f"; left out: {listed(summary.left_out)}" if summary.left_out else ""
    note(console, f"both sides ok, compared below: {plural(summary.paired, 'pair')}{left_out}")
