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


Cells = tuple[LabelledCell, ...]


def every_label(_random: np.random.Generator, cells: Cells) -> Cells:
    return cells


def looked_into(_random: np.random.Generator, cells: Cells) -> Cells:
    """Label only answered alarms correctly; all other pairs are labelled negative."""
    return _shown(cells, answered=True)


def partly_looked_into(random: np.random.Generator, cells: Cells) -> Cells:
    """Find 60 % of the positives of answered alarms and 5 % of the others, all else negative."""
    found = []
    for each in cells:
        share = 0.6 if _is_answered(each) else 0.05
        positives = int(random.binomial(each.positives, share))
        found.append(replace(each, positives=positives, negatives=each.labelled - positives))
    return tuple(found)


def prevented(_random: np.random.Generator, cells: Cells) -> Cells:
    """Label answered alarms negative, because the alarm prevents the positive."""
    return _shown(cells, answered=False)


def partly_prevented(random: np.random.Generator, cells: Cells) -> Cells:
    """Prevent 90 % of the positives of answered alarms, which are then labelled negative."""
    found = []
    for each in cells:
        positives = int(random.binomial(each.positives, 0.1 if _is_answered(each) else 1.0))
        found.append(replace(each, positives=positives, negatives=each.labelled - positives))
    return tuple(found)


def _shown(cells: Cells, *, answered: bool) -> Cells:
    return tuple(
        each
        if _is_answered(each) is answered
        else replace(each, positives=0, negatives=each.labelled)
        for each in cells
    )


def _is_answered(cell: LabelledCell) -> bool | None:
    """Say whether the side that answered raised an alarm."""
    return (cell.primary_alarm, cell.candidate_alarm)[cell.served == "candidate"]
