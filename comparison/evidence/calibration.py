"""The candidate threshold that keeps the primary's number of alarms."""

import numpy as np
import numpy.typing as npt

from comparison.evidence.divergence import Counts
from comparison.evidence.score_counts import ScoreCounts, at_or_above
from flags.gate.evidence import Calibration, Count, Paired
from flags.gate.evidence.quality import CHI_SQUARE


def calibrate(candidate: ScoreCounts) -> Calibration | None:
    """Offer a threshold between two scores that occur: what it does is counted, not estimated.

    Compared are the pairs in which it is known whether the primary had an alarm. None if it never
    had one.

    The interval holds the thresholds at which McNemar's score test (1947) does not tell the numbers
    of alarms apart at 5 %: (c - b)^2 <= 3.84 (b + c), b and c the alarms of one side only.
    """
    volume = int(candidate.fired.sum())
    if not volume:
        return None
    both = at_or_above(candidate.fired)
    fired = both + at_or_above(candidate.quiet)
    edge = nearest_edge(fired, volume)
    alike = np.flatnonzero((fired - volume) ** 2 <= CHI_SQUARE * (fired + volume - 2 * both))
    at = Paired(
        both=int(both[edge]),
        primary_only=volume - int(both[edge]),
        candidate_only=int(fired[edge] - both[edge]),
        neither=int(candidate.quiet.sum()) - int(fired[edge] - both[edge]),
    )
    thresholds = candidate.thresholds
    recall, precision = _found(candidate, edge)
    return Calibration(
        threshold=float(thresholds[edge]),
        low=float(thresholds[min([edge, *alike])]),
        high=float(thresholds[max([edge, *alike])]),
        alarms=at,
        recall=recall,
        precision=precision,
    )


def nearest_edge(alarms: Counts, volume: int) -> int:
    """Return the threshold at which the number of alarms is nearest to `volume`.

    `alarms` by threshold has shape (e,), never increasing. Of two numbers as near the smaller one
    is taken, since reviewers are few; of thresholds with the same number the one in the middle.
    """
    distance = np.abs(alarms - volume)
    nearest = np.flatnonzero(distance == distance.min())
    level: npt.NDArray[np.intp] = np.flatnonzero(alarms == alarms[nearest[-1]])
    return int(level[len(level) // 2])


def _found(candidate: ScoreCounts, edge: int) -> tuple[Count | None, Count | None]:
    """Return recall and precision of the labelled pairs at a threshold, None without any."""
    if not candidate.labelled.sum():
        return None, None
    caught = int(candidate.positive[edge:].sum())
    fired = int(candidate.labelled[edge:].sum())
    return Count(caught, int(candidate.positive.sum())), Count(caught, fired)
