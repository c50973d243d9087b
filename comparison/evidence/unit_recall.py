"""The recall by unit, from counts of positives by unit."""

from collections import Counter

import pandas as pd

from comparison.counts.tables import UnitPositives
from flags.gate.evidence import UnitRecall, UnitShare


def unit_recall(counts: UnitPositives) -> UnitRecall:
    """Return the recall by unit, from labels that are old enough to count."""
    blocks, once = (table.loc[table["old"]] for table in (counts.blocks, counts.once))
    return UnitRecall(
        shares=_shares(blocks),
        once=_shares(once),
        mean_burst_size=mean_burst_size(blocks) if counts.has_units else 1.0,
        design_effect=counts.design_effect,
        has_units=counts.has_units,
    )


def mean_burst_size(blocks: pd.DataFrame) -> float:
    """Return the mean size of the burst that a positive is part of, sum n^2 / sum n.

    It is the largest possible design effect (Kish, "Survey Sampling", 1965, 5.4): if all positives
    of a burst are identical, so many count as one.
    """
    size, n = (blocks[name].to_numpy(dtype=float) for name in ("positives", "n"))
    total = float((n * size).sum())
    return float((n * size**2).sum()) / total if total else 1.0


def _shares(table: pd.DataFrame) -> tuple[UnitShare, ...]:
    gains = (table["candidate"] - table["primary"]) / table["positives"]
    counts: Counter[float] = Counter()
    for share, n in zip(gains.tolist(), table["n"].tolist(), strict=True):
        counts[share] += n
    return tuple(UnitShare(share, n) for share, n in sorted(counts.items()))
