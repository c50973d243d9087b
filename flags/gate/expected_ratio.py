"""The expected alarm ratio of each hour, from the same hours before, and breaks against it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flags.gate.blocks import DAY, WEEK, Block, Blocks, by_day
from flags.gate.evidence import Paired
from flags.gate.sequences.betting import Cells
from flags.gate.sequences.restart import Detection, detect

_PARTS: Final = (24, 12, 8, 6, 4, 3, 2, 1)
"""Numbers of parts into which a day may be divided."""

RHYTHM_ALARMS: Final = 100
"""Alarms of a side that a part must have had, on average, to get an expected ratio of its own. A
daily rhythm that fewer alarms cannot show cannot raise the wealth to the level of a break either:
100 alarms at 1.6x bring 4 of about 13 units."""


@dataclass(frozen=True, slots=True)
class BreakLimits:
    """By which factor the ratio may exceed the expected one, by how much history there is."""

    week: float
    """After a week or more."""
    day: float
    """After a day, but less than a week."""
    none: float
    """On the first day, relative to a ratio of 1: a catastrophe that follows good hours counts."""


class _History:
    """The alarms of past days, added up by hour of the week."""

    def __init__(self) -> None:
        self._hours = [[0, 0, 0] for _ in range(WEEK)]  # both, primary only, candidate only

    def add(self, blocks: list[Block]) -> None:
        for each in blocks:
            row, alarms = self._hours[each.hour % WEEK], each.alarms
            row[0] += alarms.both
            row[1] += alarms.primary_only
            row[2] += alarms.candidate_only

    def ratios(self, days: int) -> list[tuple[float, float]]:
        """Return, for each hour of the week, the largest and the smallest ratio to be expected."""
        span = WEEK if days >= 7 else DAY
        rows = (
            self._hours
            if span == WEEK
            else [
                [sum(self._hours[hour + day * DAY][k] for day in range(7)) for k in range(3)]
                for hour in range(DAY)
            ]
        )
        alarms = sum(alarms_of_a_side(*row) for row in rows)
        parts = next((n for n in _PARTS if alarms >= RHYTHM_ALARMS * n * span // DAY), 0)
        size = DAY // parts if parts else span
        found: list[tuple[float, float]] = []
        for begin in range(0, span, size):
            part = rows[begin : begin + size]
            found += [_bounds(*(sum(row[k] for row in part) for k in range(3)))] * size
        return found * (WEEK // span)


def alarms_of_a_side(both: int, primary_only: int, candidate_only: int) -> float:
    """Return the average of both sides' numbers of alarms."""
    return both + (primary_only + candidate_only) / 2


def _bounds(both: int, primary_only: int, candidate_only: int) -> tuple[float, float]:
    """Return the ratio plus one standard error, at least 1, and minus one, at most 1.

    The variance of the log ratio of paired counts is about the number of flips divided by the
    product of both counts.
    """
    primary, candidate = both + primary_only + 0.5, both + candidate_only + 0.5
    error = math.sqrt((primary_only + candidate_only + 0.5) / (primary * candidate))
    ratio = candidate / primary
    return max(1.0, ratio * math.exp(error)), min(1.0, ratio * math.exp(-error))


def breaks(hours: Blocks, limits: BreakLimits) -> tuple[Detection, Detection]:
    """Return the evidence that the ratio has broken upwards, and downwards, at some hour.

    Each hour is compared with the same hours of the weeks before its day (of the days before, in
    the first week): a ratio that is high every evening is no break. Upwards, the limit is the
    factor of `limits` times the ratio of those hours, or times 1 if that ratio is lower.
    """
    up, down = hourly_bets(hours, limits)
    return detect(up), detect(down)


Hours = list[tuple[int, Cells]]


def hourly_bets(hours: Blocks, limits: BreakLimits) -> tuple[Hours, Hours]:
    """Return the cells of each hour for the bets that its ratio is too high, and too low."""
    allowed = list(_allowed(hours, limits))
    return (
        [(block.hour, _cells(block.alarms, high, up=True)) for block, high, _ in allowed],
        [(block.hour, _cells(block.alarms, low, up=False)) for block, _, low in allowed],
    )


def _allowed(hours: Blocks, limits: BreakLimits) -> Iterator[tuple[Block, float, float]]:
    """Yield each hour with the highest and the lowest ratio that are allowed in it."""
    history = _History()
    for day, blocks in by_day(hours.blocks):
        if not day:
            yield from ((each, limits.none, 1 / limits.none) for each in blocks)
        else:
            ratios = history.ratios(day)
            limit = limits.week if day >= 7 else limits.day
            for each in blocks:
                high, low = ratios[each.hour % WEEK]
                yield each, high * limit, low / limit
        history.add(blocks)


def _cells(alarms: Paired, limit: float, *, up: bool) -> Cells:
    if up:
        return [
            (alarms.both, 1 / limit, 1),
            (alarms.candidate_only, 1 / limit, 0),
            (alarms.primary_only, 0, 1),
        ]
    return [
        (alarms.both, limit, 1),
        (alarms.primary_only, limit, 0),
        (alarms.candidate_only, 0, 1),
    ]
