"""The evidence on what happened downstream, from its counts."""

from typing import Final

import pandas as pd

from comparison.counts.outcomes import OutcomeCounts
from flags.gate.evidence import Count, NoveltyCount, OutcomeCell

_AGES: Final = (("day 0-1", 0, 1), ("day 2-3", 2, 3), ("day 4 and later", 4, None))


def outcome_cells(counts: OutcomeCounts) -> tuple[OutcomeCell, ...]:
    """Return the cells with the probability of the candidate; those that were certain are left out.

    A unit's place lies between `low` and `high`, evenly: of those the candidate gets the ones below
    the rollout.
    """
    found: dict[tuple[bool, float, bool | None, int, int], int] = {}
    columns = (counts.cells[name].tolist() for name in (*_CELL, "n"))
    for rollout, low, high, candidate, flipped, on_flips, total, n in zip(*columns, strict=True):
        share = (rollout - low) / (high - low) if high > low else 0.0
        if 0 < share < 1:
            known = None if pd.isna(flipped) else bool(flipped)
            key = (bool(candidate), share, known, on_flips, total)
            found[key] = found.get(key, 0) + n
    return tuple(
        OutcomeCell(
            candidate, share, known, min(on_flips, total) / counts.levels, total / counts.levels, n
        )
        for (candidate, share, known, on_flips, total), n in found.items()
    )


_CELL: Final = ("rollout", "low", "high", "candidate", "flipped", "on_flips", "total")


def mixed_units(counts: OutcomeCounts) -> Count:
    """Return how many units saw both sides."""
    return Count(counts.mixed, counts.units)


def novelty(counts: OutcomeCounts) -> tuple[NoveltyCount, ...]:
    """Return what happened on flips by the age of the unit, weighted as in `UnitRatioSequence`."""
    rows = counts.novelty
    if rows.empty:
        return ()
    share = rows["rollout"] / 100
    weighted = rows["n"] * ((1 - share) / share).where(rows["candidate"] == 1, 1.0)
    found = []
    for age, first, last in _AGES:
        here = (rows["days"] >= first) & (rows["days"] <= (last if last is not None else 10**9))
        sums = [float(weighted[here & (rows["candidate"] == arm)].sum()) for arm in (0, 1)]
        found.append(NoveltyCount(age, *sums))
    return tuple(found)
