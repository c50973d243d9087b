"""The candidate's threshold at which it has as many alarms as the primary."""

import numpy as np
import numpy.typing as npt

from comparison.evidence.divergence import Counts
from comparison.evidence.score_counts import ScoreCounts, at_or_above
from flags.gate.evidence import Calibration, Count, Paired
from flags.gate.evidence.quality import CHI_SQUARE


def calibrate(candidate: ScoreCounts) -> Calibration | None:
    """Find a threshold between two scores that occur: its alarms are counted, not estimated.

    Only pairs count in which it is known whether the primary had an alarm. None if it never had
    one.

    The interval holds the thresholds at which McNemar's score test (1947) does not reject equal
    numbers of alarms at 5 %: (c - b)^2 <= 3.84 (b + c), b and c the alarms of one side only.
    """
    volume = int(candidate.fired.sum())
    if not volume:
        return None
    both = at_or_above(candidate.fired)
    fired = both + at_or_above(candidate.quiet)
    edge = nearest_edge(fired, volume)
    accepted = np.flatnonzero((fired - volume) ** 2 <= CHI_SQUARE * (fired + volume - 2 * both))
    at = Paired(
        both=int(both[edge]),
        primary_only=volume - int(both[edge]),
        candidate_only=int(fired[edge] - both[edge]),
        neither=int(candidate.quiet.sum()) - int(fired[edge] - both[edge]),
    )
    thresholds = candidate.thresholds
    recall, precision = _recall_and_precision(candidate, edge)
    return Calibration(
        threshold=float(thresholds[edge]),
        low=float(thresholds[min([edge, *accepted])]),
        high=float(thresholds[max([edge, *accepted])]),
        alarms=at,
        recall=recall,
        precision=precision,
    )


def nearest_edge(alarms: Counts, volume: int) -> int:
    """Return the index of the threshold whose number of alarms is nearest to `volume`.

    `alarms`, by threshold, has shape (e,) and never increases. Of two equally near numbers the
    smaller one is taken, since reviewers are few; of thresholds with the same number, the middle.
    """
    distance = np.abs(alarms - volume)
    nearest = np.flatnonzero(distance == distance.min())
    level: npt.NDArray[np.intp] = np.flatnonzero(alarms == alarms[nearest[-1]])
    return int(level[len(level) // 2])


def _recall_and_precision(candidate: ScoreCounts, edge: int) -> tuple[Count | None, Count | None]:
    """Return recall and precision of the labelled pairs at a threshold, None without labels."""
    if not candidate.labelled.sum():
        return None, None
    caught = int(candidate.positive[edge:].sum())
    fired = int(candidate.labelled[edge:].sum())
    return Count(caught, int(candidate.positive.sum())), Count(caught, fired)
