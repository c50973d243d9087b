"""The quality of both sides for a terminal, and the threshold that the calibration offers."""

from collections.abc import Sequence

from rich.console import Console

from comparison.evidence.alarms import Alarms
from comparison.evidence.number_format import (
    between,
    number,
    p_value,
    percent,
    share_of,
    signed,
    times,
    times_interval,
)
from comparison.report.terminal.tables import add_row, new_table, note, print_table
from flags.gate.evidence import Calibration, Labelling, Output, Quality
from flags.gate.selection import cells_of, coverage_words


def print_quality(output: Output, console: Console) -> None:
    """Print the quality of an output and the coverage of its labels; nothing without labels."""
    if output.quality:
        _print_quality(output.name, output.quality, console)
    if output.labelling and output.labelling.coverage:
        _print_coverage(output.labelling, console)


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
        note(console, f"labelled by alarm: {coverage_words(cells)}")


def print_offers(outputs: Sequence[Output], console: Console) -> None:
    """Print the threshold that the calibration offers for each output."""
    offers = [(output.name, output.calibration) for output in outputs if output.calibration]
    if offers:
        console.print()
    for name, offer in offers:
        _print_offer(name, offer, console)


def _print_offer(name: str, offer: Calibration, console: Console) -> None:
    primary, candidate = offer.alarms.primary.count, offer.alarms.candidate.count
    if not offer.is_alike:
        note(
            console,
            f"{name}: no threshold of the candidate keeps the primary's {primary:,} alarms: "
            f"its scores take too few values, and {number(offer.threshold)} gives {candidate:,}",
        )
        return
    known = ""
    if offer.recall is not None and offer.precision is not None:
        known = f", recall {percent(offer.recall.rate)}, precision {percent(offer.precision.rate)}"
    ratio = Alarms.of(offer.alarms).ratio
    note(
        console,
        f"{name}: the candidate's threshold {number(offer.threshold)} "
        f"({between(number(offer.low), number(offer.high))}) keeps the primary's number of "
        f"alarms, {primary:,}: their ratio at it is {times(ratio)} "
        f"({times_interval(ratio)}){known}",
    )
