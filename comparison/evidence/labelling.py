"""Which pairs have a label: by who answered, by both alarms, and by age."""

from typing import Any, Final

import pandas as pd
from scipy import stats

from comparison.counts.tables import UnitPositives, UnknownLabels
from comparison.evidence.unit_recall import alike
from comparison.pairs.sides import SIDES
from flags.gate.evidence import Count, GivenLabels, LabelledCell, Labelling

_CELL: Final = ["served", "primary_alarm", "candidate_alarm"]


def labelling(table: pd.DataFrame, by_unit: UnitPositives | None = None) -> Labelling | None:
    """Describe `OutputAggregates.coverage`; None if no label is about the output."""
    if table.empty:
        return None
    cells = {age: _cells(table.loc[table["old"] == age]) for age in (True, False)}
    covered = coverage(cells[True])
    together = alike(by_unit.blocks) if by_unit else 1.0
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
    """Return, by served side, the labelled of its pairs; sides that served nothing are left out."""
    found = {}
    for side in SIDES:
        served = [each for each in cells if each.served == side]
        total = sum(each.pairs for each in served)
        if total:
            found[side] = Count(sum(each.labelled for each in served), total)
    return found


def coverage_p(found: dict[str, Count]) -> float | None:
    """Return the two-sided p-value that labels do not depend on the served side.

    Fisher's exact test: Fisher (1935), JRSS 98:39-82. None where fewer than two sides served, or
    nothing is labelled.
    """
    if len(found) < 2 or not any(count.count for count in found.values()):
        return None
    table = [[count.count, count.total - count.count] for count in found.values()]
    return float(stats.fisher_exact(table).pvalue)


def given_labels(unknown: UnknownLabels | None, columns: tuple[str, ...]) -> GivenLabels | None:
    """Say what became of the labels; None where none were given."""
    if unknown is None:
        return None
    return GivenLabels(
        unknown.given, unknown.count, unknown.labels, unknown.pairs, columns or ("label",)
    )
