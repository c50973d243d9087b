"""Conversion of counts by level and by label for the evidence on all kinds of answers."""

import pandas as pd

from comparison.counts.kinds.window import LEVELS
from flags.gate.evidence import Count, UnitShare


def values_by_figure(table: pd.DataFrame) -> dict[str, dict[str, tuple[UnitShare, ...]]]:
    """Return the number of units by figure, way of counting, and value as a share of the bound."""
    found: dict[str, dict[str, tuple[UnitShare, ...]]] = {}
    for (figure, counted), rows in table.groupby(["figure", "counted"], sort=False):
        found.setdefault(str(figure), {})[str(counted)] = tuple(
            UnitShare(level / LEVELS, n)
            for level, n in zip(rows["level"].tolist(), rows["n"].tolist(), strict=True)
        )
    return found


def labelled_by_side(table: pd.DataFrame) -> dict[str, Count]:
    """Return the labelled share of each side's answers that are old enough for a label."""
    found = {}
    old = table.loc[table["old"].fillna(False)] if len(table) else table
    for side, rows in old.groupby("served", observed=True):
        labelled = int(rows.loc[rows["labelled"].fillna(False), "n"].sum())
        found[str(side)] = Count(labelled, int(rows["n"].sum()))
    return found


def young_labels(table: pd.DataFrame) -> Count:
    """Return the labelled share of the pairs that are too young for their label to count."""
    if not len(table):
        return Count(0, 0)
    young = table.loc[~table["old"].fillna(False)]
    return Count(int(young.loc[young["labelled"].fillna(False), "n"].sum()), int(young["n"].sum()))
