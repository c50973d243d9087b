"""The quality of both sides, from the joint counts of the labelled pairs."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from comparison.evidence.bootstrap import average_precision, average_precision_difference
from comparison.evidence.calibration import nearest_edge
from comparison.evidence.divergence import Counts, Floats
from comparison.evidence.joint_counts import JointCounts
from comparison.evidence.score_counts import ScoreCounts, at_or_above
from comparison.evidence.statistics import mcnemar_mid_p
from flags.gate.evidence import Count, Paired, Quality, Reliability, SideQuality, UnitRecall

RELIABILITY_EDGES: Final = tuple((step / 10) ** 2 for step in range(11))
"""Squares, so that bins are narrow near 0, where the scores of rare events lie."""

ROUNDING: Final = 1e-6
"""Rounding error of models in single precision: 1.0000001 counts as the probability 1."""


def quality(
    joint: JointCounts,
    sides: Mapping[str, ScoreCounts],
    caught: Paired,
    false_alarms: Paired,
    by_unit: UnitRecall | None = None,
) -> Quality | None:
    """Compare both sides on the labelled pairs, None without labels.

    `caught` are the alarms of the positive pairs, `false_alarms` those of the negative ones.
    """
    labelled = joint.labelled
    if not labelled.total:
        return None
    volume = caught.primary.count + false_alarms.primary.count
    primary = _side(sides["primary"], caught.primary, false_alarms.primary, None)
    candidate = _side(sides["candidate"], caught.candidate, false_alarms.candidate, volume)
    difference, error = average_precision_difference(labelled, _difference(primary, candidate))
    return Quality(
        labelled=labelled.total,
        positives=labelled.positive.total,
        primary=primary,
        candidate=candidate,
        caught=caught,
        false_alarms=false_alarms,
        average_precision_difference=difference,
        standard_error=error,
        mcnemar_mid_p=mcnemar_mid_p(
            caught.primary_only + false_alarms.candidate_only,
            caught.candidate_only + false_alarms.primary_only,
        ),
        by_unit=by_unit,
    )


def _difference(primary: SideQuality, candidate: SideQuality) -> float | None:
    """Return the difference of average precision, candidate minus primary."""
    if primary.average_precision is None or candidate.average_precision is None:
        return None
    return candidate.average_precision - primary.average_precision


def _side(
    counts: ScoreCounts, caught: Count, false_alarms: Count, volume: int | None
) -> SideQuality:
    """Return the quality of one side; `volume` None: its own alarms are the review volume."""
    positives, negatives = counts.positive, counts.negative
    precision = Count(caught.count, caught.count + false_alarms.count)
    at_volume = precision, caught
    if volume is not None:
        at_volume = _at_volume(positives, negatives, volume)
    found = float(average_precision(positives.astype(float), negatives.astype(float)))
    scores, probable = as_probabilities(counts.score, positives + negatives)
    return SideQuality(
        average_precision=None if np.isnan(found) else found,
        brier=brier(positives, negatives, scores) if probable else None,
        precision=precision,
        recall=caught,
        precision_at_volume=at_volume[0],
        recall_at_volume=at_volume[1],
        reliability=reliability(positives, negatives, scores) if probable else (),
        roc_auc=roc_auc(positives, negatives),
    )


def roc_auc(positives: Counts, negatives: Counts) -> float | None:
    """Return the area under the ROC curve from counts by ascending score: Mann & Whitney (1947)."""
    pairs = float(positives.sum()) * float(negatives.sum())
    if not pairs:
        return None
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / pairs)


def _at_volume(positives: Counts, negatives: Counts, volume: int) -> tuple[Count, Count]:
    """Return precision and recall at the threshold whose number of alarms is nearest `volume`."""
    total = int(positives.sum())
    caught, alarms = at_or_above(positives), at_or_above(positives + negatives)
    if not volume:
        return Count(0, 0), Count(0, total)
    edge = nearest_edge(alarms, volume)
    return Count(int(caught[edge]), int(alarms[edge])), Count(int(caught[edge]), total)


def as_probabilities(scores: Floats, counts: Counts) -> tuple[Floats, bool]:
    """Return scores clipped to 0 to 1, and whether all that occur were there, up to `ROUNDING`."""
    within = np.clip(scores, 0.0, 1.0)
    return within, bool((np.abs(scores - within)[counts > 0] <= ROUNDING).all())


def brier(positives: Counts, negatives: Counts, centres: Floats) -> float:
    """Return the mean squared difference of score and label: Brier (1950), MWR 78:1-3."""
    occurs = positives + negatives > 0  # the square of other centres may overflow
    positives, negatives, centres = positives[occurs], negatives[occurs], centres[occurs]
    squares = positives * (1 - centres) ** 2 + negatives * centres**2
    return float(squares.sum() / (positives.sum() + negatives.sum()))


def reliability(positives: Counts, negatives: Counts, centres: Floats) -> tuple[Reliability, ...]:
    """Return the points of the calibration curve on `RELIABILITY_EDGES`, empty bins left out.

    DeGroot & Fienberg (1983), The Statistician 32:12-22.
    """
    place = np.searchsorted(RELIABILITY_EDGES[1:-1], centres, side="right")
    size = len(RELIABILITY_EDGES) - 1
    totals = positives + negatives
    centres = np.where(totals > 0, centres, 0)  # centres that do not occur may be infinite
    pairs, hits, scores = (
        np.bincount(place, weights=each, minlength=size)
        for each in (totals, positives, totals * centres)
    )
    return tuple(
        Reliability(score / n, Count(int(hit), int(n)))
        for n, hit, score in zip(pairs.tolist(), hits.tolist(), scores.tolist(), strict=True)
        if n
    )
