"""Pairs drawn by what their sides said and what was true, and the labels that they get."""

from dataclasses import replace
from typing import Final

import numpy as np

from flags.gate.evidence import LabelledCell

FIRED: Final = ((True, True), (True, False), (False, True), (False, False))
PREVALENCE: Final = 0.01
_FALSE: Final = 0.002
"""Share of the negatives that a side alarms, half of them together."""


def drawn_cells(
    random: np.random.Generator, n: int, recalls: tuple[float, float], overlap: float = 0.95
) -> np.ndarray:
    """Draw (cells, truth) of n pairs; both alarm a share of what the side of less recall alarms."""
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
    """Give a share of the pairs of each cell a label, by the side that served."""
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
    """Label the pairs of each cell as often positive as all requests are."""
    pairs = cells.sum(axis=1)
    positive = random.binomial(pairs, PREVALENCE)
    return np.stack([positive, pairs - positive], axis=1)


def wrong_way_round(_random: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    return cells[:, ::-1]


def looked_into(cells: tuple[LabelledCell, ...]) -> tuple[LabelledCell, ...]:
    """Find the positives of answered alarms alone, and take all else for negative."""
    return _shown(cells, answered=True)


def prevented(cells: tuple[LabelledCell, ...]) -> tuple[LabelledCell, ...]:
    """Let an answered alarm prevent what would be positive."""
    return _shown(cells, answered=False)


def _shown(cells: tuple[LabelledCell, ...], *, answered: bool) -> tuple[LabelledCell, ...]:
    return tuple(
        each
        if (each.primary_alarm, each.candidate_alarm)[each.served == "candidate"] is answered
        else replace(each, positives=0, negatives=each.labelled)
        for each in cells
    )
