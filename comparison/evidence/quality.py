"""The quality of both sides, from the joint counts of the labelled pairs."""

from typing import Final

import numpy as np

from comparison.evidence.bootstrap import average_precision, average_precision_difference
from comparison.evidence.calibration import nearest_edge
from comparison.evidence.divergence import Counts, Floats
from comparison.evidence.joint_counts import JointCounts, at_or_above
from comparison.evidence.statistics import mcnemar_mid_p
from flags.gate.evidence import Count, Paired, Quality, Reliability, SideQuality

RELIABILITY_EDGES: Final = tuple((step / 10) ** 2 for step in range(11))
"""Squares, so that bins are narrow where the scores of rare events crowd."""


def quality(
    joint: JointCounts,
    caught: Paired,
    false_alarms: Paired,
    *,
    unknown: int,
    coverage: dict[str, Count],
    coverage_p: float | None,
) -> Quality | None:
    """Compare both sides on the labelled pairs, None without any.

    `caught` and `false_alarms` are the alarms of the labelled pairs, by label; the rest is given to
    the evidence as it is. Figures of scores take each score for the centre of its bin.
    """
    labelled = joint.labelled
    if not labelled.total:
        return None
    difference, error = average_precision_difference(labelled)
    volume = caught.primary.count + false_alarms.primary.count
    return Quality(
        labelled=labelled.total,
        positives=labelled.positive.total,
        unknown=unknown,
        primary=_side(labelled, "primary", caught.primary, false_alarms.primary, volume),
        candidate=_side(labelled, "candidate", caught.candidate, false_alarms.candidate, volume),
        caught=caught,
        false_alarms=false_alarms,
        average_precision_difference=difference,
        standard_error=error,
        mcnemar_mid_p=mcnemar_mid_p(
            caught.primary_only + false_alarms.candidate_only,
            caught.candidate_only + false_alarms.primary_only,
        ),
        coverage=coverage,
        coverage_p=coverage_p,
    )


def _side(
    labelled: JointCounts, side: str, caught: Count, false_alarms: Count, volume: int
) -> SideQuality:
    positives, negatives = labelled.positive.counts(side), labelled.negative.counts(side)
    precision = Count(caught.count, caught.count + false_alarms.count)
    at_volume = precision, caught
    if side == "candidate":
        at_volume = _at_volume(positives, negatives, volume)
    found = float(average_precision(positives.astype(float), negatives.astype(float)))
    probabilities = _are_probabilities(positives + negatives, labelled.centres)
    return SideQuality(
        average_precision=None if np.isnan(found) else found,
        brier=brier(positives, negatives, labelled.centres) if probabilities else None,
        precision=precision,
        recall=caught,
        precision_at_volume=at_volume[0],
        recall_at_volume=at_volume[1],
        reliability=reliability(positives, negatives, labelled.centres) if probabilities else (),
    )


def _at_volume(positives: Counts, negatives: Counts, volume: int) -> tuple[Count, Count]:
    """Return precision and recall at the edge whose number of alarms is nearest to `volume`."""
    total = int(positives.sum())
    caught, alarms = at_or_above(positives), at_or_above(positives + negatives)
    if not volume or not alarms.size:
        return Count(0, 0), Count(0, total)
    edge = nearest_edge(alarms, volume)
    return Count(int(caught[edge]), int(alarms[edge])), Count(int(caught[edge]), total)


def _are_probabilities(counts: Counts, centres: Floats) -> bool:
    occurring = centres[counts > 0]
    return bool((occurring >= 0).all() and (occurring <= 1).all())


def brier(positives: Counts, negatives: Counts, centres: Floats) -> float:
    """Return the mean squared distance of score and outcome: Brier (1950), MWR 78:1-3."""
    occurs = positives + negatives > 0  # centres that do not may be too large for a square
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
    centres = np.where(totals > 0, centres, 0)  # those that do not occur may be infinitely large
    pairs, hits, scores = (
        np.bincount(place, weights=each, minlength=size)
        for each in (totals, positives, totals * centres)
    )
    return tuple(
        Reliability(score / n, Count(int(hit), int(n)))
        for n, hit, score in zip(pairs.tolist(), hits.tolist(), scores.tolist(), strict=True)
        if n
    )
