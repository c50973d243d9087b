"""The charts of a comparison by name, each as one SVG."""

from dataclasses import dataclass
from typing import Any

from comparison.errors import ChartMissingError
from comparison.judgement.judgement import Judgement
from comparison.report.html.chart import Chart
from comparison.report.html.groups import output_views
from comparison.report.html.health_view import HealthView
from comparison.report.html.outcome_view import outcome_views
from comparison.report.html.output_view import OutputView
from flags.gate.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Charts:
    """Draw the charts of the page; `output` names the output where there are several.

    Each raises ChartMissingError if there is nothing to draw.
    """

    evidence: Evidence
    judgement: Judgement | None = None

    def alarm_rates(self, output: str | None = None) -> Chart:
        """Draw both sides' share of alarms over time."""
        return self._of(output, "rates")

    def alarm_ratio(self, output: str | None = None) -> Chart:
        """Draw the candidate's alarms by the primary's as they add up, with the limits."""
        return self._of(output, "cumulative")

    def ratio_by_hour(self, output: str | None = None) -> Chart:
        """Draw the ratio of alarms by hour of the day (UTC)."""
        return self._of(output, "by_hour")

    def ratio_by_week_day(self, output: str | None = None) -> Chart:
        """Draw the ratio of alarms by week day."""
        return self._of(output, "by_week_day")

    def scores(self, output: str | None = None) -> Chart:
        """Draw the distribution of both sides' scores."""
        return self._of(output, "distribution")

    def scores_together(self, output: str | None = None) -> Chart:
        """Draw the candidate's scores against the primary's of the same requests."""
        return self._of(output, "joint")

    def reliability(self, output: str | None = None) -> Chart:
        """Draw the share of positives against the score, of both sides; needs labels."""
        return self._of(output, "reliability")

    def latency(self) -> Chart:
        """Draw how long both sides took."""
        return _chart(HealthView.of(self.evidence.health).latency, "latency", None)

    def outcome_ratio(self, metric: str | None = None) -> Chart:
        """Draw an outcome's ratio as it adds up over time; `metric` names one of several."""
        views = {each.summary.name: each for each in outcome_views(self.evidence, self.judgement)}
        if metric is None and len(views) == 1:
            metric = next(iter(views))
        if metric not in views:
            names = ", ".join(views) or "none were given or tracked"
            raise ChartMissingError(f"name the outcome, one of: {names}")
        return _chart(views[metric].chart, "outcome_ratio", metric)

    def _of(self, output: str | None, name: str) -> Chart:
        view = self._view(output)
        return _chart(getattr(view, name), name, view.output.name)

    def _view(self, output: str | None) -> OutputView:
        views = output_views(self.evidence, self.judgement)
        found = [each for each in views if output in (None, each.output.name)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(each.output.name for each in views)
        if not found:
            raise ChartMissingError(f"no output {output!r} is compared by scores, but: {names}")
        raise ChartMissingError(f"name the output, one of: {names}")


def _chart(plot: Any, name: str, output: str | None) -> Chart:
    if plot is None:
        of = f" of {output}" if output else ""
        raise ChartMissingError(f"there is nothing to draw for {name}{of}")
    return Chart(plot)
