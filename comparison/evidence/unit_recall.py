"""The recall by unit that the gate asks for, from counts of positives by unit."""

from collections import Counter

import pandas as pd

from comparison.counts.tables import UnitPositives
from flags.gate.evidence import UnitRecall, UnitShare


def unit_recall(counts: UnitPositives) -> UnitRecall:
    """Return the recall by unit of the labels that count, and how alike positives are."""
    blocks, once = (table.loc[table["old"]] for table in (counts.blocks, counts.once))
    return UnitRecall(
        shares=_shares(blocks),
        once=_shares(once),
        alike=alike(blocks),
        design_effect=counts.design_effect,
    )


def alike(blocks: pd.DataFrame) -> float:
    """Return how many positives count as one, if those of a unit are wholly alike.

    The mean size of the burst that a positive is part of, sum n^2 / sum n: the largest design
    effect that there may be (Kish, "Survey Sampling", 1965, 5.4).
    """
    size, n = (blocks[name].to_numpy(dtype=float) for name in ("positives", "n"))
    total = float((n * size).sum())
    return float((n * size**2).sum()) / total if total else 1.0


def _shares(table: pd.DataFrame) -> tuple[UnitShare, ...]:
    gained = (table["candidate"] - table["primary"]) / table["positives"]
    counts: Counter[float] = Counter()
    for share, n in zip(gained.tolist(), table["n"].tolist(), strict=True):
        counts[share] += n
    return tuple(UnitShare(share, n) for share, n in sorted(counts.items()))
