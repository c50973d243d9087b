"""The key figures below the verdict."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from comparison.evidence.number_format import percent, signed, span
from comparison.judgement.judgement import Judgement
from comparison.report.check_format import DEFAULT_LEVEL
from comparison.report.html.figures import (
    MAX_NAME,
    percent_interval,
    ratio_interval,
    signed_interval,
    times,
)
from comparison.report.html.output_view import OutputView
from flags.gate.evidence import Count, Evidence, Interval


@dataclass(frozen=True, slots=True)
class Fact:
    """A key figure, with a note below it."""

    name: str
    value: str
    note: str


def facts(
    evidence: Evidence, judgement: Judgement | None, outputs: Sequence[OutputView]
) -> Iterator[Fact]:
    """Yield the key figures that are known, including those of the first output."""
    window, integrity = evidence.window, evidence.integrity
    complete = Count(integrity.found, integrity.expected or 0)
    yield Fact("Pairs", f"{window.pairs:,}", f"complete {percent(complete.rate)}")
    yield Fact("Held", span(window.age), f"at {window.rollout:g} % of requests")
    for view in outputs[:1]:
        of_output = f", {view.output.name[:MAX_NAME]}" if len(outputs) > 1 else ""
        yield from _output_facts(view, of_output, partial(_interval, judgement, view.output.name))
    failures = evidence.health.failures
    yield Fact(
        "Candidate failures",
        percent(failures.candidate.rate),
        f"primary {percent(failures.primary.rate)}",
    )


def _interval(judgement: Judgement | None, output: str, name: str, default: Interval) -> Interval:
    """Return the interval of a check if its level is 95 %, else `default`.

    So the page shows the same interval here and among the checks.
    """
    for check in judgement.verdict.checks if judgement else ():
        is_named = (check.name, check.output, check.segment) == (name, output, None)
        if is_named and check.figure and check.confidence == DEFAULT_LEVEL:
            return Interval(check.figure, check.low, check.high)
    return default


def _output_facts(
    view: OutputView, of_output: str, check_interval: Callable[[str, Interval], Interval]
) -> Iterator[Fact]:
    if view.ratio:
        bounds = ratio_interval(check_interval("alarm_ratio", view.ratio))
        yield Fact(f"Alarm ratio{of_output}", times(view.ratio.value), bounds)
    if view.common:
        bounds = percent_interval(check_interval("alarm_overlap", view.common))
        yield Fact(f"Alarms in common{of_output}", percent(view.common.value), bounds)
    if quality := view.output.quality:
        by_bootstrap = quality.average_precision_difference
        difference = check_interval("average_precision_loss", by_bootstrap)
        yield Fact(
            f"Average precision{of_output}",
            signed(difference.value),
            signed_interval(difference),
        )
