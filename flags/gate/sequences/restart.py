"""Evidence that a ratio has broken at some hour: a bet that begins anew every hour.

With the factor f_t(u) of hour t (see `betting`) and the bets u_j with their weights v_j,

    M_t = sum_j v_j R_t(u_j),      R_t(u) = (R_{t-1}(u) + w_t) f_t(u),

adds the wealth of every gambler who began at an hour s <= t with the stake w_s. That is the
e-detector of Shiryaev-Roberts type with a mixture over bets (Shin, Ramdas & Rinaldo, "E-detectors:
a nonparametric framework for sequential change detection", NEJSDS 2 (2024), 229-260). There, w = 1
bounds how often it calls; here the stakes sum to 1, so M is a supermartingale from at most 1, and
by Ville's inequality M ever reaches 1/alpha with probability alpha at most. The price of not
knowing when it breaks is log(1/w) of evidence: 7.3 in the first 30 days.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import starmap
from math import exp, log1p
from operator import add
from typing import Final

from flags.gate.sequences.betting import BETS, LOG_WEIGHTS, Cells, log_mean, log_products

_FIRST: Final = 720
"""Hours that share the first half of all stakes; twice as many share the next quarter, and on."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Hold the evidence of a break, and the hour at which it most likely began."""

    log_evidence: float
    begun: int | None


def log_stakes(begin: int, end: int) -> float:
    """Return the log of the sum of the stakes of the hours from `begin` until before `end`."""
    summed, first, size, share = 0.0, 0, _FIRST, 0.5
    while first < end:
        hours = max(0, min(end, first + size) - max(begin, first))
        summed += share * hours / size
        first, size, share = first + size, 2 * size, share / 2
    return math.log(summed) if summed > 0 else -math.inf


def detect(hours: Iterable[tuple[int, Cells]], first: int = 0) -> Detection:
    """Return the evidence that mean C > mean P since some hour, after the last of `hours`.

    See `detections`.
    """
    last = deque(_bets(hours, first), maxlen=1)
    return _detection(*last[0]) if last else Detection(-math.inf, None)


def detections(hours: Iterable[tuple[int, Cells]], first: int = 0) -> Iterator[Detection]:
    """Yield the evidence that mean C > mean P since some hour, after each of `hours`.

    `hours` are (number, cells) in order; the stakes of hours without any go to the next one. C is
    scaled by what is allowed at that hour, so that the hypothesis has the ratio 1. Gamblers who
    began before `first` are left out: the others have less than all.
    """
    return starmap(_detection, _bets(hours, first))


def _bets(
    hours: Iterable[tuple[int, Cells]], first: int
) -> Iterator[tuple[list[float], list[int]]]:
    """Yield, by bet, the log of what it has after each hour, and since when it wins."""
    logs = [-math.inf] * len(BETS)
    runs, starts = [0.0] * len(BETS), [0] * len(BETS)
    known: dict[tuple[tuple[float, float], ...], list[float]] = {}
    staked = first
    for hour, cells in hours:
        moves = tuple((count, c - p) for count, c, p in cells)
        if moves not in known:  # minutes are often alike
            known[moves] = log_products(moves)
        factors = known[moves]
        logs = list(map(add, _staked(logs, log_stakes(staked, hour + 1)), factors))
        starts = [start if run > 0 else hour for start, run in zip(starts, runs, strict=True)]
        runs = [max(run, 0.0) + factor for run, factor in zip(runs, factors, strict=True)]
        staked = hour + 1
        yield logs, starts


def _staked(logs: list[float], stake: float) -> list[float]:
    """Return the logs of what each bet has with a stake more, itself a logarithm."""
    if stake == -math.inf:
        return logs
    return [
        log + log1p(exp(stake - log)) if log > stake else stake + log1p(exp(log - stake))
        for log in logs
    ]


def _detection(logs: list[float], starts: list[int]) -> Detection:
    mixed = list(map(add, LOG_WEIGHTS, logs))
    return Detection(log_mean(logs), starts[mixed.index(max(mixed))])
