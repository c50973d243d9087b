"""Selection of labels: whether it depends on the sides' decisions which pairs get a label.

If labels exist because a side raised an alarm, they say nothing about the pairs without an alarm,
and recall by such labels favours the side that answered. This is verification bias: Begg & Greenes,
"Assessment of diagnostic tests when disease verification is subject to selection bias", Biometrics
39 (1983), 207-215. It shows in the label coverage of the four cells (alarm or none by each side).
"""

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from flags.gate.evidence import LabelledCell, Paired

COMPLETE: Final = 0.99
"""Share of labelled pairs from which on labels count as complete."""

_SURE: Final = 3.29
"""Standard errors beyond which a cell's coverage surely differs: by chance in 1 of 1,000 cases."""

_EXPECTED: Final = 10
"""A cell without labels that should have this many at the overall coverage lacks them surely."""


_NAMES: Final = {
    (True, True): "both sides' alarms",
    (True, False): "the primary's alone",
    (False, True): "the candidate's alone",
    (False, False): "no alarm",
}
"""The cells in words, cells with alarms first."""


class Selection(StrEnum):
    """How far labels depend on the sides' decisions."""

    NONE = "none"
    """Each cell has labels for about the same share of its pairs."""
    WEIGHTED = "weighted"
    """The shares differ, but each cell has labels."""
    FLAGGED = "flagged"
    """A cell has no labels."""
    POSITIVES = "positives"
    """Only positives have labels, so it is not known which pairs were looked at."""


def cells_of(strata: Iterable[LabelledCell]) -> tuple[LabelledCell, ...]:
    """Sum the strata over the served side into the four cells of both alarms; omit empty cells."""
    sums: dict[tuple[bool | None, bool | None], list[int]] = {}
    for each in strata:
        if each.primary_alarm is None or each.candidate_alarm is None:
            continue
        total = sums.setdefault((each.primary_alarm, each.candidate_alarm), [0, 0, 0])
        for place, more in enumerate((each.pairs, each.positives, each.negatives)):
            total[place] += more
    return tuple(LabelledCell(None, *key, *total) for key, total in sums.items() if total[0])


def coverage(cells: Iterable[LabelledCell]) -> float | None:
    """Return the share of pairs with a label, None without pairs."""
    found = tuple(cells)
    pairs = sum(each.pairs for each in found)
    return sum(each.labelled for each in found) / pairs if pairs else None


def selection(strata: Sequence[LabelledCell], limit: float) -> Selection:
    """Return how labels were selected; `limit` is how far a cell's coverage may differ, relative
    to the overall coverage."""
    cells = cells_of(strata) or tuple(strata)
    overall = coverage(cells)
    if not overall:
        return Selection.NONE
    if overall < COMPLETE and not any(each.negatives for each in cells):
        return Selection.POSITIVES
    if _unlabelled(cells):
        return Selection.FLAGGED
    if any(_differs(each, overall, limit) for each in cells):
        return Selection.WEIGHTED
    return Selection.NONE


def _unlabelled(cells: Sequence[LabelledCell]) -> list[LabelledCell]:
    """Return the cells without labels that should have some at the overall coverage."""
    overall = coverage(cells) or 0.0
    return [each for each in cells if not each.labelled and each.pairs * overall >= _EXPECTED]


def unlabelled_words(strata: Sequence[LabelledCell]) -> str:
    """Say of labels that are `FLAGGED` which pairs have none: those without an alarm, or others."""
    without = [(each.primary_alarm, each.candidate_alarm) for each in _unlabelled(cells_of(strata))]
    if not without or (False, False) in without:
        return "labels exist only for what was flagged"
    names = " or ".join(name for key, name in _NAMES.items() if key in without)
    return f"no pair with {names} has a label (is it because of the alarm?)"


def comes_first_for_alarms(strata: Sequence[LabelledCell], limit: float) -> bool:
    """Say whether pairs with an alarm have labels more often than pairs without an alarm."""
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
    """Say whether a side raised an alarm for the pairs of a cell."""
    return bool(cell.primary_alarm or cell.candidate_alarm)


def _differs(cell: LabelledCell, share: float, limit: float) -> bool:
    """Say whether a cell's coverage surely differs from `share` by more than `limit * share`."""
    expected = cell.pairs * share
    distance = abs(cell.labelled - expected)
    error = math.sqrt(expected * (1 - share))
    return distance > limit * expected and distance > _SURE * error


def caught(strata: Iterable[LabelledCell]) -> Paired:
    """Return the paired table of both sides' alarms on the labelled positives."""
    counts = {
        (each.primary_alarm, each.candidate_alarm): each.positives for each in cells_of(strata)
    }
    return Paired(
        both=counts.get((True, True), 0),
        primary_only=counts.get((True, False), 0),
        candidate_only=counts.get((False, True), 0),
        neither=counts.get((False, False), 0),
    )


def coverage_words(cells: Iterable[LabelledCell]) -> str:
    """Return the coverage of each cell in words, cells with alarms first."""
    by_key = {(each.primary_alarm, each.candidate_alarm): each for each in cells}
    return ", ".join(
        f"{name} {by_key[key].labelled:,} of {by_key[key].pairs:,}"
        for key, name in _NAMES.items()
        if key in by_key
    )
