"""The error rate of a candidate, divided among the checks that can roll back.

Each check errs with probability of its share at most, over all looks. So all of them together err
with the error rate at most, however they depend on each other (Bonferroni). The shares are fixed in
advance. Their size matters little: halving a share costs 0.7 of about 6 units of log evidence.
"""

from typing import Final

SHARES: Final = {
    "alarm_ratio": 0.12,
    "alarm_ratio_day": 0.06,
    "alarm_ratio_now": 0.04,
    "alarm_break": 0.10,
    "no_alarm_ratio": 0.06,
    "segment_alarm_ratio": 0.10,
    "failure_rate": 0.08,
    "failure_rate_now": 0.03,
    "failure_rate_minutes": 0.01,
    "outcomes": 0.10,
    "fallback_rate": 0.06,
    "fallback_rate_now": 0.04,
    "latency_p50": 0.02,
    "latency_p50_now": 0.01,
    "latency_p95": 0.03,
    "latency_p99": 0.04,
    "recall_loss": 0.10,
}
"""By check, its share of the candidate's error rate; the shares sum to 1."""


_SHARE_OF: Final = {
    "number_bias": "alarm_ratio",
    "error_loss": "recall_loss",
    "accuracy_loss": "recall_loss",
    "ndcg_loss": "recall_loss",
    "empty_rankings": "alarm_ratio",
    "text_rule": "alarm_ratio",
}
"""Checks of outputs that are not scores, with the check of scores whose share each of them has."""


def error_share(error_rate: float, check: str, checks: int = 1) -> float:
    """Return the error rate of one check, if `checks` of its name (one per output) divide it."""
    return error_rate * SHARES[_SHARE_OF.get(check, check)] / max(1, checks)


def visit_share(share: float, visit: int) -> float:
    """Return the error rate, at the `visit`-th step, of a check whose evidence is of one step only.

    Evidence that depends on which side answers starts anew with each step, and with each return to
    a step. The number of visits is not known in advance, so the n-th has 1/(n (n + 1)) of the
    share: these sum to 1.
    """
    return share / (visit * (visit + 1))


def segment_share(error_rate: float, seen: int) -> float:
    """Return the error rate of one segment if `seen` segments have occurred so far.

    The final number of segments is not known in advance, and dividing by the number so far would
    spend too much: the first look, with one segment, would already spend everything. So half of the
    share is for looks at up to 10 segments, divided by 10; a quarter for looks at up to 100,
    divided by 100; and so on. In each of these epochs at most that many segments have begun. Each
    is a martingale from its first pair on, so it errs with its part at most, and the parts sum to
    less than the share. A new segment may raise the evidence that is needed, but never breaks the
    guarantee.
    """
    epoch = 1
    while 10**epoch < seen:
        epoch += 1
    return error_rate * SHARES["segment_alarm_ratio"] / 20.0**epoch
