"""The evidence on outcomes, from their counts."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import pandas as pd

from comparison.counts.drawn.outcome_cells import OutcomeCounts
from flags.gate.blocks import EPOCH
from flags.gate.evidence import Count, Interval, NoveltyCount, OutcomeCell, RatioSoFar
from flags.gate.sequences import FlipRatioSequence, UnitRatioSequence

_ALPHA: Final = 0.05

_AGES: Final = (("day 0-1", 0, 1), ("day 2-3", 2, 3), ("day 4 and later", 4, None))
"""Ages of units: name, first and last day since the unit was first seen."""

_CELL: Final = ("rollout", "low", "high", "candidate", "flipped", "on_flips", "total")

_Key = tuple[bool, float, bool | None, int, int]
"""Assigned to the candidate, probability of that, flipped, level on flips, level in total."""


def outcome_cells(counts: OutcomeCounts) -> tuple[OutcomeCell, ...]:
    """Return the cells with their probability of the candidate; certain assignments are left out.

    The flag's hash of a unit is uniform between `low` and `high`; hashes below the rollout get the
    candidate.
    """
    units: Counter[_Key] = Counter()
    for _, cells in _blocks(counts):
        units.update(cells)
    return _cells(units, counts.levels)


def ratio_over_time(counts: OutcomeCounts) -> tuple[RatioSoFar, ...]:
    """Return the ratio of all units up to each block of time, with the gate's interval."""
    by_flips = any(cell.flipped is not None for cell in outcome_cells(counts))
    so_far: Counter[_Key] = Counter()
    found = []
    for number, block in _blocks(counts):
        so_far.update(block)
        cells = _cells(so_far, counts.levels)
        events = sum(cell.units for cell in cells if cell.total)
        sequence: FlipRatioSequence | UnitRatioSequence = UnitRatioSequence(cells)
        if by_flips:
            sequence = FlipRatioSequence(tuple(each for each in cells if each.flipped is not None))
        ratio = Interval(None, None, None)
        if sequence.value is not None:
            ratio = Interval(sequence.value, *sequence.interval(_ALPHA))
        found.append(RatioSoFar(EPOCH + number * counts.block, ratio, events))
    return tuple(found)


def _blocks(counts: OutcomeCounts) -> Iterator[tuple[int, Counter[_Key]]]:
    """Yield the number of each block of time, in order, and the number of units by cell."""
    for number in sorted(set(counts.cells["block"].tolist())):
        rows = counts.cells.loc[counts.cells["block"] == number]
        units: Counter[_Key] = Counter()
        columns = (rows[name].tolist() for name in (*_CELL, "n"))
        for rollout, low, high, candidate, flipped, on_flips, total, n in zip(
            *columns, strict=True
        ):
            share = (rollout - low) / (high - low) if high > low else 0.0
            if 0 < share < 1:
                known = None if pd.isna(flipped) else bool(flipped)
                units[bool(candidate), share, known, on_flips, total] += n
        yield number, units


def _cells(units: Counter[_Key], levels: int) -> tuple[OutcomeCell, ...]:
    return tuple(
        OutcomeCell(candidate, share, known, min(on_flips, total) / levels, total / levels, n)
        for (candidate, share, known, on_flips, total), n in units.items()
    )


def mixed_units(counts: OutcomeCounts) -> Count:
    """Return the share of units that got answers of both sides."""
    return Count(counts.mixed, counts.units)


def novelty(counts: OutcomeCounts) -> tuple[NoveltyCount, ...]:
    """Return the outcomes on flips by age of the unit, weighted as in `UnitRatioSequence`."""
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
