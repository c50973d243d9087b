"""Say whether the answer that was served decides what gets labelled."""

import pandas as pd
from scipy import stats

from comparison.pairs.columns import SIDES
from flags.gate.evidence import Count


def coverage(table: pd.DataFrame) -> dict[str, Count]:
    """Return, by served side, the labelled among the pairs old enough to be labelled.

    `table` is `Aggregates.coverage`. Sides that served nothing are left out.
    """
    known = table["label"].notna()
    found = {}
    for side in SIDES:
        served = (table["served"] == side).fillna(False)
        total = int(table.loc[served, "n"].sum())
        if total:
            found[side] = Count(int(table.loc[served & known, "n"].sum()), total)
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
