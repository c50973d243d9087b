"""The key figures below the verdict."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from comparison.evidence.number_format import percent, signed, span
from comparison.judgement.judgement import Judgement
from comparison.report.check_format import USUAL_LEVEL
from comparison.report.html.figures import (
    BRIEF,
    percent_interval,
    ratio_interval,
    signed_interval,
    times,
)
from comparison.report.html.output_view import OutputView
from flags.gate.evidence import Count, Evidence, Interval


@dataclass(frozen=True, slots=True)
class Fact:
    """Hold one figure."""

    name: str
    value: str
    note: str


def facts(
    evidence: Evidence, judgement: Judgement | None, outputs: Sequence[OutputView]
) -> Iterator[Fact]:
    """Yield the figures that there are, those of the first output among them."""
    window, integrity = evidence.window, evidence.integrity
    found = Count(integrity.found, integrity.expected or 0)
    yield Fact("Pairs", f"{window.pairs:,}", f"complete {percent(found.rate)}")
    yield Fact("Held", span(window.age), f"at {window.rollout:g} % of requests")
    for view in outputs[:1]:
        of_output = f", {view.output.name[:BRIEF]}" if len(outputs) > 1 else ""
        yield from _of_output(view, of_output, partial(_interval, judgement, view.output.name))
    failures = evidence.health.failures
    yield Fact(
        "Candidate failures",
        percent(failures.candidate.rate),
        f"primary {percent(failures.primary.rate)}",
    )


def _interval(judgement: Judgement | None, output: str, name: str, found: Interval) -> Interval:
    """Return the interval of the check if it is of 95 %, so that the page says one thing."""
    for check in judgement.verdict.checks if judgement else ():
        is_it = (check.name, check.output, check.segment) == (name, output, None)
        if is_it and check.figure and check.confidence == USUAL_LEVEL:
            return Interval(check.figure, check.low, check.high)
    return found


def _of_output(
    view: OutputView, of_output: str, decided: Callable[[str, Interval], Interval]
) -> Iterator[Fact]:
    if view.ratio:
        bounds = ratio_interval(decided("alarm_ratio", view.ratio))
        yield Fact(f"Alarm ratio{of_output}", times(view.ratio.value), bounds)
    if view.common:
        bounds = percent_interval(decided("alarm_overlap", view.common))
        yield Fact(f"Alarms in common{of_output}", percent(view.common.value), bounds)
    if quality := view.output.quality:
        found = quality.average_precision_difference
        difference = decided("average_precision_loss", found)
        yield Fact(
            f"Average precision{of_output}",
            signed(difference.value),
            signed_interval(difference),
        )
