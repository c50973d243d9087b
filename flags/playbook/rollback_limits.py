"""What rolls back once it is shown."""

from typing import Final

from pydantic import Field

from flags.playbook.part import Part, Ratio, Share


class RollbackLimits(Part):
    """What rolls back once it is shown: an interval wholly beyond its limit."""

    alarm_ratio: Ratio = Field(
        1.25,
        description="Candidate's alarm rate relative to the primary's over whole weeks, or to that "
        "of the same hours of the weeks before: outside 1/x to x.",
    )
    alarm_ratio_day: Ratio = Field(
        1.75, description="The same over whole days, or to the same hours of the days before."
    )
    alarm_ratio_now: Ratio = Field(3.0, description="The same at once, whatever the hour.")
    min_alarms_now: int = Field(
        50, ge=0, description="Alarms of the side with more of them, for a rollback at once."
    )
    segment_alarm_ratio: Ratio = Field(
        2.0, description="The same within one segment, once the evidence is a day old."
    )
    no_alarm_ratio: Ratio = Field(
        1.25, description="Candidate's rate without an alarm by the primary's: outside 1/x to x."
    )
    failure_rate: Share = Field(
        0.01,
        description="Candidate's failure rate less the primary's, above; from a day on.",
    )
    failure_rate_now: Share = Field(0.05, description="The same at once.")
    failure_rate_minutes: Share = Field(
        0.2,
        description="The same of all requests, whoever sent them, in most minutes since some "
        "minute; within an hour.",
    )
    fallback_rate: Share = Field(
        0.03,
        description="Share of the candidate's requests that the primary answered, above; from a "
        "day on.",
    )
    fallback_rate_now: Share = Field(0.1, description="The same at once.")
    latency_p50: Ratio = Field(3.0, description="Candidate's median duration by the primary's.")
    latency_p50_now: Ratio = Field(
        5.0, description="The same in most minutes since some minute; within an hour."
    )
    latency_p95: Ratio = Field(3.0, description="The same at the 95th percentile.")
    latency_p99: Ratio = Field(4.0, description="The same at the 99th percentile.")
    recall_loss: Share = Field(0.10, description="Recall that the candidate loses, above.")
    win_rate: Share = Field(
        0.40,
        lt=1,
        description="Share in which the candidate's text is preferred, below.",
    )
    accuracy_loss: Share = Field(0.05, description="Accuracy that the candidate loses, above.")
    ndcg_loss: Share = Field(0.05, description="nDCG that the candidate loses, above.")
    empty_rankings: Share = Field(
        0.05,
        description="Share of rankings without any item: the candidate's less the primary's, "
        "above; from a day on.",
    )
    empty_rankings_now: Share = Field(0.25, description="The same at once.")
    number_bias: float = Field(
        0.5, ge=0, description="Mean difference of numbers, in spreads; once a day old."
    )
    error_loss: float = Field(
        0.25, ge=0, description="By which part the mean error of numbers is larger, above."
    )
    text_rule: Share = Field(
        0.05,
        description="Share of texts that refuse, or lack a declared format: the candidate's less "
        "the primary's, above; from a day on.",
    )
    text_rule_now: Share = Field(0.25, description="The same at once.")

    def limit(self, name: str) -> float:
        """Return a limit: one that holds sooner is never nearer than the one that holds later."""
        own, later = float(getattr(self, name)), LATER.get(name)
        return max(own, self.limit(later)) if later else own


LATER: Final = {
    "alarm_ratio_day": "alarm_ratio",
    "alarm_ratio_now": "alarm_ratio_day",
    "failure_rate_now": "failure_rate",
    "failure_rate_minutes": "failure_rate_now",
    "fallback_rate_now": "fallback_rate",
    "text_rule_now": "text_rule",
    "empty_rankings_now": "empty_rankings",
    "latency_p50_now": "latency_p50",
}
"""Limits that hold sooner than another one of the same figure, which more evidence reaches."""
