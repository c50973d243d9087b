"""The limits beyond which the flag is rolled back."""

from typing import Final

from pydantic import Field

from flags.playbook.part import Part, Ratio, Share


class RollbackLimits(Part):
    """The limits of a rollback: a confidence interval that lies wholly beyond one rolls back."""

    alarm_ratio: Ratio = Field(
        1.25,
        description="Candidate's alarm rate relative to the primary's over whole weeks, or this "
        "ratio relative to that of the same hours of the weeks before: outside 1/x to x.",
    )
    alarm_ratio_day: Ratio = Field(
        1.75, description="The same with whole days, or the same hours of the days before."
    )
    alarm_ratio_now: Ratio = Field(3.0, description="The same at any time, without waiting.")
    min_alarms_now: int = Field(
        50, ge=0, description="Alarms, of the side with more, for a rollback by `alarm_ratio_now`."
    )
    segment_alarm_ratio: Ratio = Field(
        2.0, description="The alarm ratio within one segment, once the evidence is a day old."
    )
    no_alarm_ratio: Ratio = Field(
        1.25,
        description="Candidate's rate of requests without an alarm relative to the primary's: "
        "outside 1/x to x.",
    )
    failure_rate: Share = Field(
        0.01,
        description="Candidate's failure rate minus the primary's, above; once the evidence is a "
        "day old.",
    )
    failure_rate_now: Share = Field(0.05, description="The same at any time, without waiting.")
    failure_rate_minutes: Share = Field(
        0.2,
        description="The same over the requests of all units together, in most minutes since some "
        "minute; shown within an hour.",
    )
    fallback_rate: Share = Field(
        0.03,
        description="Share of the candidate's requests that the primary answered, above; once the "
        "evidence is a day old.",
    )
    fallback_rate_now: Share = Field(0.1, description="The same at any time, without waiting.")
    latency_p50: Ratio = Field(
        3.0, description="Candidate's median duration relative to the primary's, above."
    )
    latency_p50_now: Ratio = Field(
        5.0, description="The same in most minutes since some minute; shown within an hour."
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
        description="Share of rankings without any item: the candidate's minus the primary's, "
        "above; once the evidence is a day old.",
    )
    empty_rankings_now: Share = Field(0.25, description="The same at any time, without waiting.")
    number_bias: float = Field(
        0.5,
        ge=0,
        description="Mean difference of numbers, in spreads, above; once the evidence is a day "
        "old.",
    )
    error_loss: float = Field(
        0.25,
        ge=0,
        description="By which part the candidate's mean error of numbers is larger, above.",
    )
    text_rule: Share = Field(
        0.05,
        description="Share of texts that refuse, or lack a declared format: the candidate's minus "
        "the primary's, above; once the evidence is a day old.",
    )
    text_rule_now: Share = Field(0.25, description="The same at any time, without waiting.")

    def limit(self, name: str) -> float:
        """Return the limit in force: at least the limit of `LATER`, which needs more evidence."""
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
"""Limits of an early rollback, each with the limit of the same figure that needs more evidence."""
