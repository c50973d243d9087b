"""The candidate threshold that keeps the primary's number of alarms."""

from typing import Final

import numpy as np
import numpy.typing as npt

from comparison.counts.score_grid import ScoreGrid
from comparison.evidence.divergence import Counts
from comparison.evidence.joint_counts import JointCounts, at_or_above, counted, first_alarm
from flags.gate.evidence import Calibration, Count, Paired

_CHI_SQUARE: Final = 3.841458820694124
"""95 % quantile of one degree of freedom."""


def calibrate(
    joint: JointCounts, grid: ScoreGrid, thresholds: tuple[float, ...], alarms: Paired | None
) -> Calibration | None:
    """Offer a threshold that is an edge of the grid: what it does is counted, not estimated.

    `thresholds` are the primary's. With several, what counts is the share of its `alarms`, and the
    primary is taken at the one threshold that comes nearest to it. None if it never fires, or is
    not known to.

    The interval holds the thresholds at which McNemar's score test (1947) does not tell the numbers
    of alarms apart at 5 %: (c - b)^2 <= 3.84 (b + c), b and c the alarms of one side only.
    """
    if not grid.edges or not joint.total:
        return None
    lowest = _primary_alarm(joint, grid, thresholds, alarms)
    if lowest is None:
        return None
    fires = joint.primary >= lowest
    volume = int(joint.n[fires].sum())
    if not volume:
        return None
    fired = at_or_above(joint.counts("candidate"))
    both = at_or_above(counted(joint.candidate[fires], joint.n[fires], joint.bins))
    edge = nearest_edge(fired, volume)
    alike = np.flatnonzero((fired - volume) ** 2 <= _CHI_SQUARE * (fired + volume - 2 * both))
    at = Paired(
        both=int(both[edge]),
        primary_only=volume - int(both[edge]),
        candidate_only=int(fired[edge] - both[edge]),
        neither=joint.total - volume - int(fired[edge] - both[edge]),
    )
    recall, precision = _found(joint, edge)
    return Calibration(
        threshold=grid.edges[edge],
        low=grid.edges[min(edge, *alike[:1])] if alike.size else grid.edges[edge],
        high=grid.edges[max(edge, *alike[-1:])] if alike.size else grid.edges[edge],
        alarms=at,
        recall=recall,
        precision=precision,
    )


def nearest_edge(alarms: Counts, volume: int) -> int:
    """Return the edge at which the number of alarms is nearest to `volume`.

    `alarms` by edge has shape (e,), never increasing. Of two numbers as near the smaller one is
    taken, since reviewers are few; of edges with the same number the one in the middle, which is
    farthest from the scores on either side.
    """
    distance = np.abs(alarms - volume)
    nearest = np.flatnonzero(distance == distance.min())
    level: npt.NDArray[np.intp] = np.flatnonzero(alarms == alarms[nearest[-1]])
    return int(level[len(level) // 2])


def _primary_alarm(
    joint: JointCounts, grid: ScoreGrid, thresholds: tuple[float, ...], alarms: Paired | None
) -> int | None:
    """Return the primary's lowest bin with an alarm, None if that is not known."""
    if len(thresholds) == 1:
        return first_alarm(grid, thresholds[0])
    if alarms is None or not alarms.pairs:
        return None
    volume = round(alarms.primary.count / alarms.pairs * joint.total)
    return 1 + nearest_edge(at_or_above(joint.counts("primary")), volume) if volume else None


def _found(joint: JointCounts, edge: int) -> tuple[Count | None, Count | None]:
    """Return recall and precision of the labelled pairs at an edge, None without any."""
    labelled = joint.labelled
    if not labelled.total:
        return None, None
    fired = labelled.where(labelled.candidate > edge)
    caught = fired.positive.total
    return Count(caught, labelled.positive.total), Count(caught, fired.total)
