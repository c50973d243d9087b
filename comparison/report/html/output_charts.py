"""The charts of a comparison by name, each as one SVG."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from comparison.errors import ChartMissingError
from comparison.judgement.judgement import Judgement
from comparison.report.html.chart import Chart
from comparison.report.html.charts.plot import Plot
from comparison.report.html.groups import output_views
from comparison.report.html.health_view import HealthView
from comparison.report.html.outcome_view import outcome_views
from comparison.report.html.output_view import OutputView
from comparison.report.kinds.sections import sections
from flags.gate.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts of the page, one method each; `output` names the output if there are several.

    Each method raises ChartMissingError if there is nothing to draw.
    """

    evidence: Evidence
    judgement: Judgement | None = None

    def alarm_rates(self, output: str | None = None) -> Chart:
        """Draw both sides' share of alarms over time."""
        return self._of(output, "alarm_rates", lambda view: view.rates)

    def alarm_ratio(self, output: str | None = None) -> Chart:
        """Draw the ratio of the candidate's alarms to the primary's so far, with the limits."""
        return self._of(output, "alarm_ratio", lambda view: view.cumulative)

    def ratio_by_hour(self, output: str | None = None) -> Chart:
        """Draw the ratio of alarms by hour of the day (UTC)."""
        return self._of(output, "ratio_by_hour", lambda view: view.by_hour)

    def ratio_by_week_day(self, output: str | None = None) -> Chart:
        """Draw the ratio of alarms by week day."""
        return self._of(output, "ratio_by_week_day", lambda view: view.by_week_day)

    def scores(self, output: str | None = None) -> Chart:
        """Draw the distribution of both sides' scores."""
        return self._of(output, "scores", lambda view: view.distribution)

    def scores_together(self, output: str | None = None) -> Chart:
        """Draw the candidate's scores against the primary's of the same requests."""
        return self._of(output, "scores_together", lambda view: view.joint)

    def reliability(self, output: str | None = None) -> Chart:
        """Draw the share of positives against the score, of both sides; needs labels."""
        return self._of(output, "reliability", lambda view: view.reliability)

    def errors(self, output: str | None = None) -> Chart:
        """Draw the mean error of numbers in each part of the pairs, of both sides; needs labels.

        Raises ChartMissingError.
        """
        found = {
            each.name: next(iter(section.charts), None)
            for each, section in zip(self.evidence.answers, sections(self.evidence), strict=False)
            if each.kind == "number"
        }
        if output is None and len(found) == 1:
            output = next(iter(found))
        if output not in found:
            raise ChartMissingError(_problem(output, "numbers", list(found), self._kinds))
        return _chart(found[output], "errors", output)

    def latency(self) -> Chart:
        """Draw the distribution of both sides' durations."""
        return _chart(HealthView.of(self.evidence.health).latency, "latency", None)

    def outcome_ratio(self, metric: str | None = None) -> Chart:
        """Draw an outcome's ratio of all units so far; `metric` names one of several.

        Raises ChartMissingError.
        """
        views = {each.summary.name: each for each in outcome_views(self.evidence, self.judgement)}
        if metric is None and len(views) == 1:
            metric = next(iter(views))
        if metric not in views:
            if not views:
                raise ChartMissingError("no outcomes were given or tracked")
            raise ChartMissingError(f"name the outcome, one of: {', '.join(views)}")
        return _chart(views[metric].chart, "outcome_ratio", metric)

    @property
    def _kinds(self) -> dict[str, str]:
        return {each.name: each.kind for each in self.evidence.answers}

    def _of(
        self, output: str | None, name: str, plot: Callable[[OutputView], Plot | None]
    ) -> Chart:
        views = output_views(self.evidence, self.judgement)
        found = [each for each in views if output in (None, each.output.name)]
        if len(found) != 1:
            names = [each.output.name for each in views]
            raise ChartMissingError(_problem(output, "scores", names, self._kinds))
        return _chart(plot(found[0]), name, found[0].output.name)


_NEEDS: Final = {
    "alarm_rates": "alarms of both sides, of pairs over two parts of an hour at least",
    "alarm_ratio": "alarms of both sides, of pairs over two parts of an hour at least",
    "ratio_by_hour": "alarms of both sides, of a day of pairs at least",
    "ratio_by_week_day": "alarms of both sides, of a week of pairs at least",
    "scores": "pairs with a score of both sides",
    "scores_together": "pairs with a score of both sides",
    "reliability": "labels that count, and scores from 0 to 1",
    "errors": "labels that count, in two parts of the pairs: segments, or days",
    "latency": "calls beyond the warm-up",
    "outcome_ratio": "outcomes of both sides at two times",
}
"""The data that each chart needs."""


def _problem(output: str | None, what: str, names: Sequence[str], kinds: Mapping[str, str]) -> str:
    """Return the message that an output must be named, or why there is none to draw."""
    if output is None and len(names) > 1:
        return f"name the output, one of: {', '.join(names)}"
    others = {name: kind for name, kind in kinds.items() if name not in names}
    if output in others or (output is None and others):
        named = ", ".join(f"{name} is a {kind}" for name, kind in others.items())
        return f"this chart is of {what}, and {named}: `answers` and `checks` have its figures"
    if not names:
        return f"this chart is of {what}, and there are none"
    return f"no output {output!r} is compared by {what}, but: {', '.join(names)}"


def _chart(plot: Plot | None, name: str, output: str | None) -> Chart:
    if plot is None:
        of = f" of {output}" if output else ""
        raise ChartMissingError(f"there is nothing to draw for {name}{of}: it needs {_NEEDS[name]}")
    return Chart(plot)
