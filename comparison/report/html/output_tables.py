"""The rows of the tables of one output: quantiles, quality and labels by cell."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from comparison.evidence.number_format import decimals_for, fixed, number, percent
from flags.gate.evidence import Count, Distribution, LabelledCell, Labelling, Quality, SideQuality

_ALARMS: Final = {
    (True, True): "both",
    (True, False): "only primary",
    (False, True): "only candidate",
    (False, False): "neither",
    (None, None): "not both decided",
}
"""Names of cells by the alarms of primary and candidate, in the order of rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table that compares both sides."""

    name: str
    primary: str
    candidate: str
    difference: str = ""
    counts: tuple[str, str] = ("", "")
    """The counts behind the shares of primary and candidate, as text."""


@dataclass(frozen=True, slots=True)
class CellRow:
    """A row of the table of labels: the pairs of a cell that one side answered."""

    alarms: str
    served: str
    pairs: int
    labelled: int
    coverage: float | None
    positives: int
    young: int
    """Labels of pairs that are too young, so that their labels do not count."""


def quantile_rows(described: Distribution) -> tuple[Row, ...]:
    """Return the quantiles of both sides, and their difference."""
    primary = described.quantiles.get("primary", {})
    candidate = described.quantiles.get("candidate", {})
    decimals = decimals_for([*primary.values(), *candidate.values()])
    rows = []
    for probability in primary:
        one, other = primary[probability], candidate.get(probability)
        difference = "-"
        if one is not None and other is not None:
            difference = f"{other - one:+,.{decimals}f}"
        cells = fixed(one, decimals), fixed(other, decimals), difference
        rows.append(Row(probability, *cells))
    return tuple(rows)


def quality_rows(quality: Quality) -> tuple[Row, ...]:
    """Return the figures of both sides that labels allow."""
    sides = quality.primary, quality.candidate

    def figures(name: str, of: Callable[[SideQuality], float | None]) -> Row:
        primary, candidate = (number(of(side)) for side in sides)
        return Row(name, primary, candidate)

    def shares(name: str, of: Callable[[SideQuality], Count]) -> Row:
        primary, candidate = (of(side) for side in sides)
        counts = tuple(f"{each.count:,} of {each.total:,}" for each in (primary, candidate))
        return Row(name, percent(primary.rate), percent(candidate.rate), "", (counts[0], counts[1]))

    return (
        figures("average precision", lambda side: side.average_precision),
        Row("decided rightly", *_right(quality)),
        shares("precision", lambda side: side.precision),
        shares("recall", lambda side: side.recall),
        shares("precision at the primary's volume", lambda side: side.precision_at_volume),
        shares("recall at the primary's volume", lambda side: side.recall_at_volume),
        figures("Brier score (smaller is better)", lambda side: side.brier),
    )


def _right(quality: Quality) -> tuple[str, str]:
    """Return for each side the share of labelled pairs in which its alarm agrees with the label."""
    caught, false = quality.caught, quality.false_alarms
    total = caught.pairs + false.pairs
    sides = ((caught.primary, false.primary), (caught.candidate, false.candidate))
    first, second = (
        percent((hit.count + false.pairs - wrong.count) / total if total else None)
        for hit, wrong in sides
    )
    return first, second


def cell_rows(labelling: Labelling) -> tuple[CellRow, ...]:
    """Return counts of pairs with and without a label, by alarms of both sides and served side."""
    old = {_key(each): each for each in labelling.old}
    young = {_key(each): each for each in labelling.young}
    rows = []
    names = list(_ALARMS)
    for key in sorted({*old, *young}, key=lambda each: (names.index(each[0]), each[1])):
        old_cell, young_cell = old.get(key), young.get(key)
        pairs, labelled = (old_cell.pairs, old_cell.labelled) if old_cell else (0, 0)
        rows.append(
            CellRow(
                alarms=_ALARMS[key[0]],
                served=key[1],
                pairs=pairs,
                labelled=labelled,
                coverage=labelled / pairs if pairs else None,
                positives=old_cell.positives if old_cell else 0,
                young=young_cell.labelled if young_cell else 0,
            )
        )
    return tuple(rows)


def _key(cell: LabelledCell) -> tuple[tuple[bool | None, bool | None], str]:
    return (cell.primary_alarm, cell.candidate_alarm), cell.served or "nobody"
