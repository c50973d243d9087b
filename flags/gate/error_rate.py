"""The error rate of a candidate, divided among the checks that can roll back.

Each check errs with its share at most, over all looks; so all of them together err with the error
rate at most, whatever they depend on each other (Bonferroni). The shares are fixed beforehand. How
large they are matters little: half of a share costs 0.7 of about 6 units of evidence.
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
"""By check, its share of the candidate's error rate; they sum to 1."""


_INSTEAD: Final = {
    "number_bias": "alarm_ratio",
    "error_loss": "recall_loss",
    "accuracy_loss": "recall_loss",
    "ndcg_loss": "recall_loss",
    "empty_rankings": "alarm_ratio",
    "text_rule": "alarm_ratio",
}
"""Checks of outputs that are not scores, and the one of scores whose share each has."""


def error_share(error_rate: float, check: str, among: int = 1) -> float:
    """Return the error rate of one check of a kind of which there are `among`, one per output."""
    return error_rate * SHARES[_INSTEAD.get(check, check)] / max(1, among)


def visit_share(share: float, visit: int) -> float:
    """Return the error rate of checks that see one step only, at the `visit`-th of all steps.

    What depends on who answers begins anew with each step, and with each return to one. How many
    there will be is not known, so the n-th has 1/(n (n + 1)) of the share: these sum to 1.
    """
    return share / (visit * (visit + 1))


def segment_share(error_rate: float, seen: int) -> float:
    """Return the error rate of one segment where `seen` of them have occurred so far.

    How many there will be is not known beforehand, and dividing by those seen up to now would spend
    too much: the first look, with one segment, would already have spent everything. So half of the
    share is for looks at up to 10 segments, divided by 10, a quarter for looks at up to 100,
    divided by 100, and so on. In each of these epochs at most so many segments have begun, each of
    them a martingale from its first pair on, so it errs with its part at most, and the parts sum to
    less than the share. A new segment may ask for more evidence, but never breaks the guarantee.
    """
    epoch = 1
    while 10**epoch < seen:
        epoch += 1
    return error_rate * SHARES["segment_alarm_ratio"] / 20.0**epoch
