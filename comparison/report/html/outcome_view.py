"""The outcomes, prepared for the page: their figures, and their ratio over time."""

from dataclasses import dataclass

from comparison.judgement.judgement import Judgement
from comparison.report.html.charts.alarms import RatioLimits, ratio_so_far
from comparison.report.html.charts.plot import Plot
from comparison.report.outcome_summary import OutcomeSummary, outcome_summaries
from flags.gate.evidence import Evidence
from flags.playbook.outcomes import OutcomePlan


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """Hold one metric, and the chart of its ratio if that was ever bounded."""

    summary: OutcomeSummary
    over_time: Plot | None


def outcome_views(evidence: Evidence, judgement: Judgement | None) -> tuple[OutcomeView, ...]:
    """Return the metrics of which something can be shown, in order of their names."""
    plans = judgement.playbook.outcomes if judgement else {}
    days = {each.name: each.days for each in evidence.outcomes}
    views = []
    for position, summary in enumerate(outcome_summaries(evidence), start=1):
        plan = plans.get(summary.name, OutcomePlan())
        drawn = [(each.day, each.ratio) for each in days[summary.name]]
        limits = RatioLimits(plan.margin, plan.rollback)
        words = "Outcomes by flips, of all so far", "the primary's outcomes"
        chart = ratio_so_far(f"outcome-{position}-ratio", words, drawn, limits) if drawn else None
        views.append(OutcomeView(summary, chart))
    return tuple(views)
