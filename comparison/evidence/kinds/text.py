"""The evidence on a text, from its counts."""

import pandas as pd

from comparison.counts.kinds.text import RULE, TextCounts
from comparison.evidence.kinds.levels import values_by_figure
from comparison.evidence.kinds.parts import answer_parts
from comparison.pairs.sides import SIDES
from flags.gate.checks.text import TextEvidence
from flags.gate.evidence import Count, Paired
from flags.pairing.kinds.text import REMARKS


def evidence(counts: TextCounts, units: int) -> TextEvidence:
    """Return the evidence; `units` is the number of units in the window."""
    cells = counts.cells
    n = int(cells["n"].sum())
    levels = values_by_figure(counts.levels.table)
    rules = [figure.removeprefix(RULE) for figure in levels if figure.startswith(RULE)]
    return TextEvidence(
        kind=counts.kind,
        name=counts.name,
        paired=n,
        labelled=0,
        units=units,
        exact_match=Count(_sum(cells, cells["exact"]), n),
        normalised_match=Count(_sum(cells, cells["normal"]), n),
        characters={side: counts.sums[side] / n if n else None for side in SIDES},
        rules={rule: _paired(cells, rule) for rule in sorted(rules)},
        parts=answer_parts(counts.parts),
        clusters=counts.levels.clusters,
        levels=levels,
    )


def _sum(cells: pd.DataFrame, rows: "pd.Series[bool]") -> int:
    return int(cells.loc[rows.fillna(False).astype(bool), "n"].sum())


def _paired(cells: pd.DataFrame, rule: str) -> Paired:
    """Count the breaches of a rule by side."""
    broken, kept = (
        [cells[f"{side}_{REMARKS}"].str.contains(f"|{rule}={said}|", regex=False) for side in SIDES]
        for said in (1, 0)
    )
    return Paired(
        _sum(cells, broken[0] & broken[1]),
        _sum(cells, broken[0] & kept[1]),
        _sum(cells, kept[0] & broken[1]),
        _sum(cells, kept[0] & kept[1]),
    )
