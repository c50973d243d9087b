"""The scores beyond quantiles of the primary's scores, counted by side and in common."""

from typing import Final

import numpy as np

from comparison.evidence.joint_counts import JointCounts
from flags.gate.evidence import RANKED, Paired, Tail

PROBABILITIES: Final = (*RANKED, 0.01, 0.5, 0.99, 0.999)
"""`RANKED`, by which ranks are judged, comes first: of equal quantiles, only the first is kept."""


def tails(joint: JointCounts) -> tuple[Tail, ...]:
    """Return a table for each quantile: scores above it if it is 0.5 or more, else up to it."""
    if not joint.total:
        return ()
    cumulative = np.cumsum(joint.counts("primary"))
    found: dict[tuple[int, bool], Tail] = {}
    for probability in PROBABILITIES:
        row = int(np.searchsorted(cumulative, probability * joint.total))
        is_upper = probability >= 0.5
        table = _beyond(joint, row, is_upper=is_upper)
        if 0 < table.primary.count < table.pairs:
            tail = Tail(probability, float(joint.centres[row]), table)
            found.setdefault((row, is_upper), tail)
    return tuple(sorted(found.values(), key=lambda each: each.probability))


def _beyond(joint: JointCounts, row: int, *, is_upper: bool) -> Paired:
    primary, candidate = (
        side > row if is_upper else side <= row for side in (joint.primary, joint.candidate)
    )
    cells = (primary & candidate, primary & ~candidate, ~primary & candidate, ~primary & ~candidate)
    return Paired(*(int(joint.n[cell].sum()) for cell in cells))
