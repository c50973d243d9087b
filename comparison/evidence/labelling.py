"""Which pairs have a label: by the side that answered, by both alarms, and by age."""

from typing import Any, Final

import pandas as pd
from scipy import stats

from comparison.counts.tables import UnitPositives, UnknownLabels
from comparison.evidence.unit_recall import mean_burst_size
from comparison.pairs.sides import SIDES
from flags.gate.evidence import Count, GivenLabels, LabelledCell, Labelling

_CELL: Final = ["served", "primary_alarm", "candidate_alarm"]


def labelling(table: pd.DataFrame, by_unit: UnitPositives | None = None) -> Labelling | None:
    """Convert `OutputAggregates.coverage`; None if the output has no labels."""
    if table.empty:
        return None
    cells = {age: _cells(table.loc[table["old"] == age]) for age in (True, False)}
    covered = coverage(cells[True])
    together = mean_burst_size(by_unit.blocks) if by_unit and by_unit.has_units else 1.0
    return Labelling(cells[True], cells[False], covered, coverage_p(covered), together)


def _cells(table: pd.DataFrame) -> tuple[LabelledCell, ...]:
    found = []
    key: Any
    for key, rows in table.groupby(_CELL, dropna=False, observed=True, sort=False):
        served, primary, candidate = (None if pd.isna(each) else each for each in key)
        positive = rows["label"].fillna(False)
        negative = (~rows["label"]).fillna(False)
        found.append(
            LabelledCell(
                served=served,
                primary_alarm=None if primary is None else bool(primary),
                candidate_alarm=None if candidate is None else bool(candidate),
                pairs=int(rows["n"].sum()),
                positives=int(rows.loc[positive, "n"].sum()),
                negatives=int(rows.loc[negative, "n"].sum()),
            )
        )
    return tuple(found)


def coverage(cells: tuple[LabelledCell, ...]) -> dict[str, Count]:
    """Return the labelled share of each side's answers, without a side that answered nothing."""
    found = {}
    for side in SIDES:
        served = [each for each in cells if each.served == side]
        total = sum(each.pairs for each in served)
        if total:
            found[side] = Count(sum(each.labelled for each in served), total)
    return found


def coverage_p(covered: dict[str, Count]) -> float | None:
    """Return the two-sided p-value of the hypothesis that coverage is equal on both sides.

    Fisher's exact test: Fisher (1935), JRSS 98:39-82. None where fewer than two sides answered, or
    nothing is labelled.
    """
    if len(covered) < 2 or not any(count.count for count in covered.values()):
        return None
    table = [[count.count, count.total - count.count] for count in covered.values()]
    return float(stats.fisher_exact(table).pvalue)


def given_labels(unknown: UnknownLabels | None, columns: tuple[str, ...]) -> GivenLabels | None:
    """Return how many labels belong to pairs; None where no labels were given."""
    if unknown is None:
        return None
    return GivenLabels(
        unknown.given, unknown.count, unknown.labels, unknown.pairs, columns or ("label",)
    )
