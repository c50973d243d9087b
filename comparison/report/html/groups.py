"""The sections of the page in their order: the checks, what happened, each output, health."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from comparison.evidence.number_format import percent
from comparison.judgement.judgement import Judgement
from comparison.judges.examples import TextExample
from comparison.report.check_format import (
    OutcomeCount,
    WrittenCheck,
    count_outcomes,
    gravest_first,
    write_check,
)
from comparison.report.html.charts.ratio_axis import RatioLimits
from comparison.report.html.figures import MAX_NAME, ratio_interval, times
from comparison.report.html.health_view import HealthView
from comparison.report.html.operational_view import operational_views
from comparison.report.html.outcome_view import outcome_views
from comparison.report.html.output_sections import missing_sections, output_sections
from comparison.report.html.output_view import OutputView
from comparison.report.html.sections import Group, Section
from comparison.report.kinds.sections import sections as kind_sections
from flags.gate.evidence import Evidence
from flags.gate.number_format import plural
from flags.gate.verdict import Outcome

MAX_CHECKS: Final = 7
"""Checks that are shown unfolded, the gravest; the others are folded away."""

_MAX_OUTCOMES: Final = 1
"""Metrics of outcomes that are shown unfolded; the others are folded away."""


@dataclass(frozen=True, slots=True)
class ChecksView:
    """The checks, the gravest first; the first `unfolded` of them are shown unfolded."""

    checks: tuple[WrittenCheck, ...]
    counts: tuple[OutcomeCount, ...]
    unfolded: int = MAX_CHECKS


def output_views(evidence: Evidence, judgement: Judgement | None) -> list[OutputView]:
    """Draw each output, with its limits, and with the time at which a check found a break."""
    checks = judgement.verdict.checks if judgement else ()
    breaks = {
        each.output: each.since for each in checks if each.since and each.outcome != Outcome.PASS
    }
    return [
        OutputView.of(
            output,
            anchor=f"output-{position}",
            age=evidence.window.age,
            limits=_limits(judgement, output.name, "alarm_ratio"),
            segment_limits=_limits(judgement, output.name, "segment_alarm_ratio"),
            break_time=breaks.get(output.name),
        )
        for position, output in enumerate(evidence.outputs, start=1)
    ]


def groups(
    evidence: Evidence,
    judgement: Judgement | None,
    outputs: Sequence[OutputView],
    examples: Sequence[TextExample] = (),
) -> Iterator[Group]:
    """Yield the groups of sections that have content, in the order of the page."""
    first = tuple(_first_sections(evidence, judgement))
    if first:
        yield Group("first", "", first)
    outcomes = [
        Section(each.anchor, f"Outcome: {each.summary.name}", "outcome.html.j2", each)
        for each in outcome_views(evidence, judgement)
    ]
    if outcomes[:_MAX_OUTCOMES]:
        yield Group("outcomes", "", tuple(outcomes[:_MAX_OUTCOMES]))
    if rest := outcomes[_MAX_OUTCOMES:]:
        names = ", ".join(each.view.summary.name[:MAX_NAME] for each in rest)
        title = f"{plural(len(rest), 'more outcome')}"
        yield Group("more-outcomes", title, tuple(rest), names, is_folded=True, is_named=True)
    yield from _output_groups(evidence, outputs, _gravest_output(judgement))
    if examples:
        texts = Section("texts", "Texts that were judged", "texts.html.j2", examples)
        yield Group("texts-judged", "", (texts,))
    yield Group("last", "", tuple(_last_sections(evidence, judgement, outputs)))


def _first_sections(evidence: Evidence, judgement: Judgement | None) -> Iterator[Section]:
    if judgement:
        checks = gravest_first(judgement.verdict.checks)
        written = tuple(write_check(check, judgement, evidence) for check in checks)
        yield Section(
            "checks", "Checks", "checks.html.j2", ChecksView(written, count_outcomes(checks))
        )
    if evidence.operational_alarms:
        views = operational_views(evidence)
        yield Section("operational", "Operational alarms", "operational.html.j2", views)


def _output_groups(
    evidence: Evidence, outputs: Sequence[OutputView], gravest: str | None
) -> Iterator[Group]:
    """Yield a group for each output; of several, only the output `gravest` is unfolded."""
    by_output = {
        view.output.name: Group(
            view.anchor, view.output.name, tuple(output_sections(view)), _summary(view)
        )
        for view in outputs
    }
    for section, name in _kind_sections(evidence):
        group = by_output.get(name) or Group(f"of-{section.anchor}", name, (), section.title)
        by_output[name] = replace(group, sections=(*group.sections, section))
    shown = [group for group in by_output.values() if group.sections]
    several = len(shown) > 1
    opened = gravest if gravest in by_output else next((each.title for each in shown), None)
    for group in shown:
        is_folded = several and group.title != opened
        yield replace(group, is_folded=is_folded, is_named=several)


def _kind_sections(evidence: Evidence) -> Iterator[tuple[Section, str]]:
    """Yield the sections of outputs that are not scores, each with the name of its output."""
    names = [each.name for each in evidence.answers]
    names += [each.output or "texts" for each in evidence.preferences]
    for position, (view, name) in enumerate(zip(kind_sections(evidence), names, strict=True), 1):
        anchor = f"kind-{position}"
        charts = tuple(replace(each, name=f"{anchor}-{each.name}") for each in view.charts)
        view = replace(view, charts=charts)
        yield Section(anchor, view.title, "kinds.html.j2", view), name


def _summary(view: OutputView) -> str:
    parts = []
    if view.ratio and view.ratio.value is not None:
        parts.append(f"alarm ratio {times(view.ratio.value)} ({ratio_interval(view.ratio)})")
    if view.common:
        parts.append(f"alarms in common {percent(view.common.value)}")
    return ", ".join(parts)


def _last_sections(
    evidence: Evidence, judgement: Judgement | None, outputs: Sequence[OutputView]
) -> Iterator[Section]:
    yield Section("health", "Health", "health.html.j2", HealthView.of(evidence.health))
    if evidence.drift:
        yield Section("drift", "Input drift", "drift.html.j2", evidence.drift)
    yield Section("integrity", "Integrity and notes", "integrity.html.j2", evidence)
    if missing := tuple(_missing(evidence, judgement, outputs)):
        yield Section("absent", "Not on this page", "absent.html.j2", missing)


def _missing(
    evidence: Evidence, judgement: Judgement | None, outputs: Sequence[OutputView]
) -> Iterator[str]:
    """Name the sections that are not on the page, and the data that each needs."""
    if not evidence.compared:
        yield "Outputs: no output was recorded, so there is nothing to compare"
    numbers = {each.name for each in evidence.answers}
    for view in outputs:
        if view.output.name in numbers:
            continue  # a number is not a score without its threshold
        name = f"{view.output.name[:MAX_NAME]}: " if evidence.compared > 1 else ""
        for each in missing_sections(view):
            yield f"{name}{each}"
    if judgement and not evidence.operational_alarms:
        yield "Operational alarms: the playbook names none"
    if not evidence.outcomes:
        yield "Outcomes: none were given or tracked"
    if not evidence.drift:
        yield "Input drift: no recorded feature has a training reference"


def _gravest_output(judgement: Judgement | None) -> str | None:
    """Return the output of the gravest check of an output that does not pass."""
    checks = gravest_first(judgement.verdict.checks) if judgement else []
    outputs = (each.output for each in checks if each.outcome is not Outcome.PASS and each.output)
    return next(outputs, None)


def _limits(judgement: Judgement | None, output: str, name: str) -> RatioLimits | None:
    """Return an output's limits of a ratio at the step that is judged."""
    if judgement is None:
        return None
    gate = judgement.playbook.gate_of(judgement.step, output=output)
    return RatioLimits(getattr(gate.advance, name), getattr(gate.rollback, name))
