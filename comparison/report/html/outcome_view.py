"""One metric of outcomes, prepared for the page: its figures, and its ratio over time."""

from collections.abc import Iterator
from dataclasses import dataclass

from comparison.judgement.judgement import Judgement
from comparison.report.html.charts.plot import Plot
from comparison.report.html.charts.ratio_axis import RatioLimits
from comparison.report.html.charts.ratio_time import Subject, ratio_over_time
from comparison.report.outcome_summary import OutcomeSummary, outcome_summaries
from flags.gate.evidence import Evidence, OutcomeMetric
from flags.playbook.outcomes import OutcomePlan


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """One metric; `chart` is None if its ratio over time cannot be drawn."""

    anchor: str
    summary: OutcomeSummary
    chart: Plot | None


def outcome_views(evidence: Evidence, judgement: Judgement | None) -> Iterator[OutcomeView]:
    """Yield the metrics of `outcome_summaries`, each with its chart."""
    metrics = {each.name: each for each in evidence.outcomes}
    for position, summary in enumerate(outcome_summaries(evidence), start=1):
        metric = metrics[summary.name]
        anchor = f"outcome-{position}"
        subject = Subject(
            f"{anchor}-ratio",
            f"Ratio over all {'traffic' if summary.by_flips else 'units'} so far",
            "what happens with the primary",
        )
        points = [(each.start, each.ratio) for each in metric.over_time]
        chart = ratio_over_time(subject, points, _limits(metric, judgement))
        yield OutcomeView(anchor, summary, chart)


def _limits(metric: OutcomeMetric, judgement: Judgement | None) -> RatioLimits | None:
    """Return the limits of a metric; a given metric that the playbook does not name has defaults.

    A tracked metric that the playbook does not name has none.
    """
    if judgement is None:
        return None
    plan = judgement.playbook.outcomes.get(metric.name)
    if plan is None and metric.is_tracked:
        return None
    plan = plan or OutcomePlan()
    limits = plan.margin, plan.rollback
    if plan.harm == "down":
        limits = 1 / limits[0], 1 / limits[1]
    return RatioLimits(*limits, is_one_sided=True)
