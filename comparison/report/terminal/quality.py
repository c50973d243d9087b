"""The quality of both sides for a terminal, and the threshold that calibration offers."""

from rich.console import Console

from comparison.evidence.number_format import (
    between,
    number,
    p_value,
    percent,
    share_of,
    signed,
)
from comparison.report.terminal.tables import add_row, new_table, note, print_table
from flags.gate.evidence import Labelling, Output, Quality
from flags.gate.selection import cells_of, said


def print_quality(output: Output, console: Console) -> None:
    """Print what labels show of an output, and the offer; nothing without either."""
    if output.quality:
        _print_quality(output.name, output.quality, console)
    if output.labelling and output.labelling.coverage:
        _print_coverage(output.labelling, console)
    if output.calibration:
        _print_offer(output, console)


def _print_quality(name: str, quality: Quality, console: Console) -> None:
    sides = quality.primary, quality.candidate
    table = new_table(f"Quality: {name}", "", "primary", "candidate")
    add_row(table, "average precision", *(number(side.average_precision) for side in sides))
    add_row(table, "precision", *(share_of(side.precision) for side in sides))
    add_row(table, "recall", *(share_of(side.recall) for side in sides))
    same = "at the same volume"
    add_row(table, f"precision {same}", *(share_of(side.precision_at_volume) for side in sides))
    add_row(table, f"recall {same}", *(share_of(side.recall_at_volume) for side in sides))
    add_row(table, "Brier score", *(number(side.brier) for side in sides))
    print_table(table, console)
    gap = quality.average_precision_difference
    note(
        console,
        f"{quality.labelled:,} labelled, {quality.positives:,} positive; average precision "
        f"{signed(gap.value)} ({between(signed(gap.low), signed(gap.high))}), McNemar mid-p "
        f"{p_value(quality.mcnemar_mid_p)}",
    )


def _print_coverage(labelling: Labelling, console: Console) -> None:
    covered = ", ".join(
        f"{side} {percent(count.rate)}" for side, count in labelling.coverage.items()
    )
    note(console, f"labelled by who answered: {covered}")
    if cells := cells_of(labelling.old):
        note(console, f"labelled by alarm: {said(cells)}")


def _print_offer(output: Output, console: Console) -> None:
    offer = output.calibration
    if offer is None:
        return
    known = ""
    if offer.recall is not None and offer.precision is not None:
        known = f", recall {percent(offer.recall.rate)}, precision {percent(offer.precision.rate)}"
    if not offer.is_alike:
        primary, candidate = offer.alarms.primary.count, offer.alarms.candidate.count
        note(
            console,
            f"{output.name}: no threshold of the candidate keeps the primary's {primary:,} alarms: "
            f"its scores take too few values, and {number(offer.threshold)} gives {candidate:,}",
        )
        return
    note(
        console,
        f"{output.name}: the candidate's threshold {number(offer.threshold)} "
        f"({between(number(offer.low), number(offer.high))}) keeps the primary's number of "
        f"alarms{known}",
    )
