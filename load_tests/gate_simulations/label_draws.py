"""Random pairs by the sides' decisions and the truth, and models of their labels."""

from dataclasses import replace
from typing import Final

import numpy as np

from flags.gate.evidence import LabelledCell

FIRED: Final = ((True, True), (True, False), (False, True), (False, False))
PREVALENCE: Final = 0.01
_FALSE: Final = 0.002
"""False positive rate of each side; half of the false positives are common."""


def drawn_cells(
    random: np.random.Generator, n: int, recalls: tuple[float, float], overlap: float = 0.95
) -> np.ndarray:
    """Draw (cells, truth) of n pairs.

    Both sides together alarm a share `overlap` of the positives of the side with less recall.
    """
    together = overlap * min(recalls)
    positive = [together, recalls[0] - together, recalls[1] - together]
    negative = [_FALSE / 2] * 3
    shares = [
        [rate * part for part in (*each, 1 - sum(each))]
        for rate, each in ((PREVALENCE, positive), (1 - PREVALENCE, negative))
    ]
    return random.multinomial(n, np.concatenate(shares)).reshape(2, 4).T


def labelled_cells(
    random: np.random.Generator,
    counts: np.ndarray,
    rollout: float,
    shares: dict[str, tuple[float, float, float, float]],
) -> tuple[LabelledCell, ...]:
    """Label a share of the pairs of each cell, depending on the answering side."""
    candidate = random.binomial(counts, rollout)
    found = []
    for served, pairs in (("primary", counts - candidate), ("candidate", candidate)):
        for fired, row, share in zip(FIRED, pairs, shares[served], strict=True):
            hit, miss = random.binomial(row, share)
            found.append(LabelledCell(served, *fired, int(row.sum()), int(hit), int(miss)))
    return tuple(found)


def in_bursts(cells: tuple[LabelledCell, ...], burst: int) -> tuple[LabelledCell, ...]:
    return tuple(
        replace(
            each,
            pairs=burst * each.pairs,
            positives=burst * each.positives,
            negatives=burst * each.negatives,
        )
        for each in cells
    )


def labelled_right(_random: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    return cells


def of_other_requests(random: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    """Label the pairs of each cell like random requests: with the overall share of positives."""
    pairs = cells.sum(axis=1)
    positive = random.binomial(pairs, PREVALENCE)
    return np.stack([positive, pairs - positive], axis=1)


def wrong_way_round(_random: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    return cells[:, ::-1]


def looked_into(cells: tuple[LabelledCell, ...]) -> tuple[LabelledCell, ...]:
    """Label only answered alarms correctly; all other pairs are labelled negative."""
    return _shown(cells, answered=True)


def prevented(cells: tuple[LabelledCell, ...]) -> tuple[LabelledCell, ...]:
    """Label answered alarms negative, because the alarm prevents the positive."""
    return _shown(cells, answered=False)


def _shown(cells: tuple[LabelledCell, ...], *, answered: bool) -> tuple[LabelledCell, ...]:
    return tuple(
        each
        if (each.primary_alarm, each.candidate_alarm)[each.served == "candidate"] is answered
        else replace(each, positives=0, negatives=each.labelled)
        for each in cells
    )
