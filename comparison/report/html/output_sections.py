"""The sections of one output, in the order of the page."""

from collections.abc import Iterator

from comparison.report.html.output_view import OutputView
from comparison.report.html.sections import Section
from flags.gate.evidence import Output


def output_sections(view: OutputView) -> Iterator[Section]:
    """Yield the sections that have content."""
    output = view.output
    shown = (
        ("alarms", "Alarms", output.alarms is not None),
        ("segments", "Segments", view.forest is not None and len(view.forest.rows) > 1),
        ("scores", _scores_title(output), output.distribution is not None),
        ("quality", "Quality", output.quality is not None or bool(view.cells)),
        ("calibration", "Calibration", output.calibration is not None),
        ("flips", "Flips", bool(output.flips)),
    )
    for name, title, has_content in shown:
        if has_content:
            yield Section(f"{view.anchor}-{name}", title, f"{name}.html.j2", view, output.name)


def _scores_title(output: Output) -> str:
    return "Scores" if any(output.thresholds.values()) else "Numbers"


def missing_sections(view: OutputView) -> Iterator[str]:
    """Say which sections an output lacks, and the data that each needs."""
    output = view.output
    if output.alarms is None:
        yield (
            "no threshold on both sides, so there are no alarms to compare"
            if output.paired
            else "no pair has a score on both sides, so there is nothing to compare"
        )
    if output.quality is None:
        young = " that are old enough for their label to count" if output.labelling else ""
        yield (
            f"no labels have been joined to pairs with a score on both sides{young}: which side is "
            "right is not known"
        )
