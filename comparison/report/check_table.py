"""The checks by name: the unit and title of each, and how its limits apply."""

from dataclasses import dataclass
from typing import Final, Protocol

from comparison.evidence.number_format import number, percent, points, ratio, signed, span


class Write(Protocol):
    """A function that writes a figure; None, for an unknown figure, as a dash."""

    def __call__(self, value: float | None, more: int = 0, /) -> str:
        """Return the figure as text, with `more` digits than usual if its unit has decimals."""


def _count(value: float | None, _more: int = 0, /) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _rollout(value: float | None, _more: int = 0, /) -> str:
    return "-" if value is None else f"{value:g} %"


def _span(seconds: float | None, _more: int = 0, /) -> str:
    return span(seconds)


def _plain(value: float | None, more: int = 0, /) -> str:
    return "-" if value is None else f"{value:,.{6 + more}g}"


def _relative(value: float | None, more: int = 0, /) -> str:
    if not value:
        return percent(value)
    return f"{'-' if value < 0 else '+'}{percent(abs(value), more)}"


@dataclass(frozen=True, slots=True)
class CheckRow:
    """The unit, title and kind of limits of a check."""

    write: Write
    title: str | None = None
    """None if the name of the check, which is a key of the playbook, describes its figure."""
    two_sided: bool = False
    """Whether a ratio's limit x applies to 1/x too."""
    is_loss: bool = False
    """Whether the figure is candidate minus primary, so that a loss is below 0."""
    before_a_day: str | None = None
    """The rollback limit in force until the evidence is a day old."""
    before_a_week: str | None = None
    """The rollback limit in force from then until the evidence is a week old."""


def check_row(name: str) -> CheckRow:
    """Return the row of a check; for a check that is not in CHECKS, figures are plain numbers."""
    return CHECKS.get(name, CheckRow(number))


CHECKS: Final = {
    "operational_alarm": CheckRow(_plain),
    "rollout": CheckRow(_rollout),
    "hold_time": CheckRow(_span),
    "pairs": CheckRow(_count),
    "silence": CheckRow(_span),
    "models": CheckRow(_count),
    "primary_served": CheckRow(_count),
    "thresholds": CheckRow(number),
    "completeness": CheckRow(percent),
    "worker_ends": CheckRow(percent),
    "impossible_times": CheckRow(percent, "pairs with an impossible time"),
    "flag_errors": CheckRow(percent, "pairs whose flag failed"),
    "noise": CheckRow(percent),
    "batch_disagreement": CheckRow(percent),
    "shadow_sampling": CheckRow(percent),
    "sample_ratio_p": CheckRow(percent, "sample ratio"),
    "shed_rate": CheckRow(percent),
    "unscored": CheckRow(percent),
    "outputs": CheckRow(number),
    "labels": CheckRow(_count, "positives among labels"),
    "young_labels": CheckRow(points, "young labels, recall in points"),
    "unknown_labels": CheckRow(percent, "labels of no pair"),
    "label_coverage_gap": CheckRow(percent),
    "label_ratio": CheckRow(ratio, "positives by side"),
    "failure_rate": CheckRow(points, "failures, in points", before_a_day="failure_rate_now"),
    "fallback_rate": CheckRow(percent, before_a_day="fallback_rate_now"),
    "latency_p50": CheckRow(ratio),
    "latency_p95": CheckRow(ratio),
    "latency_p99": CheckRow(ratio),
    "alarm_ratio": CheckRow(
        ratio, two_sided=True, before_a_day="alarm_ratio_now", before_a_week="alarm_ratio_day"
    ),
    "alarm_break": CheckRow(ratio, "break of the alarm ratio", two_sided=True),
    "recent_alarm_ratio": CheckRow(ratio, "alarm ratio of late", two_sided=True),
    "segment_alarm_ratio": CheckRow(ratio, "alarm ratio in segment", two_sided=True),
    "no_alarm_ratio": CheckRow(ratio, "ratio of no alarms", two_sided=True),
    "alarm_overlap": CheckRow(percent, "alarms in common"),
    "segment_alarm_overlap": CheckRow(percent, "alarms in common in segment"),
    "uncompared": CheckRow(percent, "not compared"),
    "capacity": CheckRow(_count, "alarms a day"),
    "distribution_ratio": CheckRow(ratio, "distribution of outputs", two_sided=True),
    "rank_overlap": CheckRow(percent, "ranks in common"),
    "recall_loss": CheckRow(points, "recall, in points", is_loss=True),
    "segment_recall_loss": CheckRow(points, "recall in segment, in points"),
    "average_precision_loss": CheckRow(signed, "average precision, difference"),
    "outcomes": CheckRow(number),
    "outcome_ratio": CheckRow(ratio, "outcomes by flips"),
    "outcome_ratio_all": CheckRow(ratio, "outcomes of all units"),
    "outcome_agreement": CheckRow(ratio, "outcomes where alike"),
    "outcome_mixed": CheckRow(percent, "units of both sides"),
    "outcome_loss": CheckRow(percent, "lost outcomes"),
    "recent_failure_rate": CheckRow(points, "failures of late, in points"),
    "recent_alarm_overlap": CheckRow(percent, "alarms in common of late"),
    "recent_recall": CheckRow(points, "recall of late, in points"),
    "outcome_times": CheckRow(percent, "outcomes before their request"),
    "number_bias": CheckRow(signed, "mean difference, in spreads"),
    "number_distance": CheckRow(number, "distance, in spreads"),
    "error_loss": CheckRow(_relative, "mean error, difference"),
    "gross_errors": CheckRow(points, "enormous errors, in points"),
    "class_agreement": CheckRow(percent, "same class"),
    "class_overlap": CheckRow(percent, "the class least in common"),
    "class_ratio": CheckRow(ratio, "ratio of the class furthest away", two_sided=True),
    "accuracy_loss": CheckRow(points, "accuracy, in points", is_loss=True),
    "class_recall_loss": CheckRow(points, "recall of the class furthest down, in points"),
    "never_predicted_labels": CheckRow(percent, "labels never predicted"),
    "ranking_overlap": CheckRow(percent, "items in common"),
    "rank_biased_overlap": CheckRow(number),
    "exposure_shift": CheckRow(points, "share of a group, in points"),
    "item_exposure": CheckRow(points, "lists with one item, in points"),
    "ndcg_loss": CheckRow(signed, "nDCG, difference", is_loss=True),
    "empty_rankings": CheckRow(
        points, "empty rankings, in points", before_a_day="empty_rankings_now"
    ),
    "text_length": CheckRow(_relative, "length of texts, difference"),
    "text_rule": CheckRow(
        points, "empty, refusals and formats, in points", before_a_day="text_rule_now"
    ),
    "segment_difference": CheckRow(number, "answers in segments"),
    "recent_difference": CheckRow(number, "answers of late"),
    "unlabelled_difference": CheckRow(number, "answers without a label"),
    "win_rate": CheckRow(percent),
    "judge_noise": CheckRow(percent, "win rate of the same model"),
    "judge_consistency": CheckRow(percent, "same winner in both orders"),
    "unknown_preferences": CheckRow(percent, "preferences of no pair"),
}
"""In the order of the gate's subjects; `docs/how-to/gate.md` says what to do about each."""
