"""The evidence and the verdict as one self-contained HTML page.

There is no script in it, and a content security policy forbids what a hostile string could try.
Everything that is printed is escaped (Jinja2's autoescape), and control characters are replaced.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from comparison.evidence.number_format import (
    number,
    p_value,
    percent,
    printable,
    ratio,
    seconds,
    signed,
    span,
)
from comparison.judgement.judgement import Judgement
from comparison.judges.examples import TextExample
from comparison.report.check_format import count_outcomes, gravest_first, write_check
from comparison.report.forecast import forecast
from comparison.report.html.charts.alarms import RatioLimits
from comparison.report.html.health_view import HealthView
from comparison.report.html.operational_view import operational_views
from comparison.report.html.output_view import OutputView
from comparison.report.kinds.section import sections as kind_sections
from comparison.report.outcome_summary import OutcomeSummary, outcome_summaries
from flags.gate.evidence import Count, Evidence, Interval
from flags.gate.next_step import next_step
from flags.gate.verdict import Decision

BRIEF: Final = 80
"""Characters of a request id, a segment's value or a model's tag that are printed."""

LONGEST_TEXT: Final = 600
"""Characters of a judged text that are printed."""

THRESHOLDS: Final = 3
"""Thresholds of a side that are printed."""

PSI_MARKS: Final = ((0.25, "large"), (0.1, "some"), (0.0, "little"))
"""Customary since credit scoring, with no theory behind them: Siddiqi (2006), p. 136."""

REASONS: Final = 8
"""Reasons that are printed below the verdict; the checks have all of them."""

_ICONS: Final = {Decision.ADVANCE: "▲", Decision.HOLD: "❚❚", Decision.ROLLBACK: "▼"}


@dataclass(frozen=True, slots=True)
class Fact:
    """Hold one of the figures below the verdict."""

    name: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Section:
    """Name a part of the page that the navigation leads to."""

    anchor: str
    title: str


def render(
    evidence: Evidence,
    judgement: Judgement | None = None,
    examples: Sequence[TextExample] = (),
) -> str:
    """Return the page; without a judgement it shows the evidence and decides nothing.

    `examples` are judged texts to read: they are on the page and nowhere else.
    """
    outputs = [
        OutputView.of(
            output,
            anchor=f"output-{position}",
            held=evidence.window.age,
            limits=_limits(judgement, output.name, "alarm_ratio"),
            segment_limits=_limits(judgement, output.name, "segment_alarm_ratio"),
        )
        for position, output in enumerate(evidence.outputs, start=1)
    ]
    checks = gravest_first(judgement.verdict.checks if judgement else ())
    outcomes = outcome_summaries(evidence)
    page: str = (
        _environment()
        .get_template("report.html.j2")
        .render(
            evidence=evidence,
            window=evidence.window,
            judgement=judgement,
            icon=_ICONS[judgement.verdict.decision] if judgement else "",
            forecast=_forecast(evidence, judgement),
            most_reasons=REASONS,
            facts=list(_facts(evidence, outputs)),
            sections=list(_sections(evidence, outputs, outcomes, judgement, examples)),
            counts=count_outcomes(checks),
            checks=[write_check(check, named=evidence.compared > 1) for check in checks],
            operational=operational_views(evidence),
            outcomes=outcomes,
            outputs=outputs,
            kinds=kind_sections(evidence),
            examples=examples,
            health=HealthView.of(evidence.health),
        )
    )
    return page


def _forecast(evidence: Evidence, judgement: Judgement | None) -> str:
    """Say when the next step is expected, where the verdict is to hold."""
    if judgement is None or judgement.verdict.decision is not Decision.HOLD:
        return ""
    following = next_step(evidence, judgement.verdict, judgement.playbook, judgement.step)
    return forecast(following) if following else ""


def _limits(judgement: Judgement | None, output: str, name: str) -> RatioLimits | None:
    """Return the limits of a ratio at the step for an output."""
    if judgement is None:
        return None
    gate = judgement.playbook.gate_of(judgement.step, output=output)
    return RatioLimits(getattr(gate.advance, name), getattr(gate.rollback, name))


def _facts(evidence: Evidence, outputs: Sequence[OutputView]) -> Iterator[Fact]:
    window, integrity = evidence.window, evidence.integrity
    found = Count(integrity.found, integrity.expected or 0)
    yield Fact("Pairs", f"{window.pairs:,}", f"complete {percent(found.rate)}")
    yield Fact("Held", span(window.age), f"at {window.rollout:g} % of requests")
    for view in outputs[:2]:
        of_output = f", {view.output.name[:BRIEF]}" if len(outputs) > 1 else ""
        if view.ratio:
            bounds = ratio_interval(view.ratio)
            yield Fact(f"Alarm ratio{of_output}", times(view.ratio.value), f"95 % sure: {bounds}")
        if quality := view.output.quality:
            difference = quality.average_precision_difference
            yield Fact(
                f"Average precision{of_output}",
                signed(difference.value),
                f"95 % {signed_interval(difference)}",
            )
    failures = evidence.health.failures
    yield Fact(
        "Candidate failures",
        percent(failures.candidate.rate),
        f"primary {percent(failures.primary.rate)}",
    )


def _sections(
    evidence: Evidence,
    outputs: Sequence[OutputView],
    outcomes: Sequence[OutcomeSummary],
    judgement: Judgement | None,
    examples: Sequence[TextExample],
) -> Iterator[Section]:
    if judgement:
        yield Section("checks", "Checks")
    if evidence.operational:
        yield Section("operational", "Operational alarms")
    for position, outcome in enumerate(outcomes, start=1):
        yield Section(f"outcome-{position}", f"Outcome ({outcome.name[:BRIEF]})")
    for view in outputs:
        of_output = f" ({view.output.name[:BRIEF]})" if len(outputs) > 1 else ""
        yield Section(f"{view.anchor}-alarms", f"Alarms{of_output}")
        if view.output.distribution:
            yield Section(f"{view.anchor}-scores", f"Scores{of_output}")
        yield Section(f"{view.anchor}-quality", f"Quality{of_output}")
        if view.output.calibration:
            yield Section(f"{view.anchor}-calibration", f"Calibration{of_output}")
        if view.output.flips:
            yield Section(f"{view.anchor}-flips", f"Flips{of_output}")
    for position, kind in enumerate(kind_sections(evidence), start=1):
        yield Section(f"kind-{position}", kind.title[:BRIEF])
    if examples:
        yield Section("texts", "Texts that were judged")
    yield Section("health", "Health")
    if evidence.drift:
        yield Section("drift", "Input drift")
    yield Section("integrity", "Integrity and notes")


def times(value: float | None) -> str:
    """Write a ratio as a factor."""
    return "-" if value is None else f"{ratio(value)}x"


def ratio_interval(interval: Interval) -> str:
    """Write the bounds of a ratio."""
    return f"{ratio(interval.low)} to {ratio(interval.high)}"


def signed_interval(interval: Interval) -> str:
    """Write the bounds of a difference."""
    if interval.low is None or interval.high is None:
        return "not known"
    return f"{signed(interval.low)} to {signed(interval.high)}"


def psi_mark(psi: float | None) -> str:
    """Name the customary mark that a PSI reaches."""
    return "-" if psi is None else next((word for mark, word in PSI_MARKS if psi >= mark), "-")


def brief(text: str, most: int = BRIEF) -> str:
    """Cut what a caller may have made endless."""
    return text if len(text) <= most else f"{text[:most]}…"


def _moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _thresholds(values: Sequence[float]) -> str:
    more = f" and {len(values) - THRESHOLDS} more" if len(values) > THRESHOLDS else ""
    return (", ".join(f"{value:.4g}" for value in values[:THRESHOLDS]) or "-") + more


def _clean(value: Any) -> Any:
    """Replace control characters in whatever the templates print."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("comparison.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )
    environment.filters |= {
        "brief": brief,
        "text": partial(brief, most=LONGEST_TEXT),
        "share": percent,
        "count": lambda count: f"{count:,}",
        "duration": seconds,
        "figure": number,
        "moment": _moment,
        "of": lambda count: f"{count.count:,} of {count.total:,}",
        "p_value": p_value,
        "percent": percent,
        "plain": lambda value: f"{value:g}",
        "psi_mark": psi_mark,
        "ratio": ratio,
        "ratio_interval": ratio_interval,
        "signed": signed,
        "signed_interval": signed_interval,
        "span": span,
        "thresholds": _thresholds,
    }
    return environment
