"""Selection of labels: whether what the sides decided changes which pairs get one.

A label that exists because a side raised an alarm says nothing about the pairs without an alarm,
so recall of such labels favours the side that was served. This is verification bias: Begg &
Greenes, "Assessment of diagnostic tests when disease verification is subject to selection bias",
Biometrics 39 (1983), 207-215. It shows in the coverage of the four cells of both alarms.
"""

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from flags.gate.evidence import LabelledCell, Paired

COMPLETE: Final = 0.99
"""Share of labelled pairs from which on labels are taken as complete."""

_SURE: Final = 3.29
"""Standard errors beyond which a cell's coverage is not that of all by chance: 1 in 1,000."""

_EXPECTED: Final = 10
"""Labels that a cell would have at the coverage of all, from which on none is not by chance."""


class Selection(StrEnum):
    """How far labels depend on what the sides decided."""

    NONE = "none"
    """Each cell has labels for about the same share of its pairs."""
    WEIGHTED = "weighted"
    """The shares differ, but each cell has labels."""
    FLAGGED = "flagged"
    """A cell has none."""
    POSITIVES = "positives"
    """Only positives have labels, so the share of labelled pairs is not known."""


def cells_of(strata: Iterable[LabelledCell]) -> tuple[LabelledCell, ...]:
    """Add the strata up to the four cells of both alarms, whoever served; empty ones left out."""
    sums: dict[tuple[bool | None, bool | None], list[int]] = {}
    for each in strata:
        if each.primary_alarm is None or each.candidate_alarm is None:
            continue
        total = sums.setdefault((each.primary_alarm, each.candidate_alarm), [0, 0, 0])
        for place, more in enumerate((each.pairs, each.positives, each.negatives)):
            total[place] += more
    return tuple(LabelledCell(None, *key, *total) for key, total in sums.items() if total[0])


def coverage(cells: Iterable[LabelledCell]) -> float | None:
    """Return the share of pairs with a label, None of no pairs."""
    found = tuple(cells)
    pairs = sum(each.pairs for each in found)
    return sum(each.labelled for each in found) / pairs if pairs else None


def selection(strata: Sequence[LabelledCell], limit: float) -> Selection:
    """Say how labels were selected; coverage may differ by `limit` of that of all, at most."""
    cells = cells_of(strata) or tuple(strata)
    all_ = coverage(cells)
    if not all_:
        return Selection.NONE
    if all_ < COMPLETE and not any(each.negatives for each in cells):
        return Selection.POSITIVES
    if any(not each.labelled and each.pairs * all_ >= _EXPECTED for each in cells):
        return Selection.FLAGGED
    if any(_differs(each, all_, limit) for each in cells):
        return Selection.WEIGHTED
    return Selection.NONE


def comes_first_for_alarms(strata: Sequence[LabelledCell], limit: float) -> bool:
    """Say whether pairs with an alarm have labels more often than those without any."""
    cells = cells_of(strata)
    quiet = coverage(each for each in cells if not fired(each))
    if quiet is None:
        return False
    return any(
        each.labelled > quiet * each.pairs and _differs(each, quiet, limit)
        for each in cells
        if fired(each)
    )


def fired(cell: LabelledCell) -> bool:
    """Say whether a side raised an alarm in the pairs of a cell."""
    return bool(cell.primary_alarm or cell.candidate_alarm)


def _differs(cell: LabelledCell, share: float, limit: float) -> bool:
    """Say whether a cell's coverage is further from a share than `limit` of it, surely."""
    expected = cell.pairs * share
    distance = abs(cell.labelled - expected)
    error = math.sqrt(expected * (1 - share))
    return distance > limit * expected and distance > _SURE * error


def caught(strata: Iterable[LabelledCell]) -> Paired:
    """Return the alarms of both sides among the labelled positives."""
    counts = {
        (each.primary_alarm, each.candidate_alarm): each.positives for each in cells_of(strata)
    }
    return Paired(
        both=counts.get((True, True), 0),
        primary_only=counts.get((True, False), 0),
        candidate_only=counts.get((False, True), 0),
        neither=counts.get((False, False), 0),
    )


def said(cells: Iterable[LabelledCell]) -> str:
    """Write the coverage of each cell, those with alarms first."""
    names = {
        (True, True): "both sides' alarms",
        (True, False): "the primary's alone",
        (False, True): "the candidate's alone",
        (False, False): "no alarm",
    }
    by_key = {(each.primary_alarm, each.candidate_alarm): each for each in cells}
    return ", ".join(
        f"{name} {by_key[key].labelled:,} of {by_key[key].pairs:,}"
        for key, name in names.items()
        if key in by_key
    )
