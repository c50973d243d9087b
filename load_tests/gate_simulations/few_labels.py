"""The interval of average precision with few positive labels."""

import numpy as np

from comparison.evidence.bootstrap import average_precision_difference
from comparison.evidence.joint_counts import JointCounts


def misses_average_precision(random: np.random.Generator) -> bool:
    """Say whether the interval misses the true value, with 600 labels and 0.5 % positives."""
    n = 600
    positive = random.random(n) < 0.005
    positive[0] = True
    risk = random.normal(0, 1, n) + 3 * positive
    scores = [risk + random.normal(0, 0.5, n) for _ in range(2)]
    place = np.unique(np.concatenate(scores), return_inverse=True)[1]
    joint = JointCounts(
        place[:n].astype(np.int64),
        place[n:].astype(np.int64),
        positive.astype(np.int8),
        np.ones(n, np.int64),
        np.arange(2 * n, dtype=float),
    )
    gained = [_average_precision(score, positive) for score in scores]
    interval, _error = average_precision_difference(joint, gained[1] - gained[0])
    assert interval.low is not None  # noqa: S101  # there is a positive
    assert interval.high is not None  # noqa: S101
    return not interval.low <= 0 <= interval.high


def _average_precision(score: np.ndarray, positive: np.ndarray) -> float:
    hits = positive[np.argsort(-score)]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
