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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from flags.gate.sequences.betting import BETS, LOG_WEIGHTS, Cells

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


def detect(hours: Iterable[tuple[int, Cells]]) -> Detection:
    """Return the evidence that mean C > mean P since some hour, after the last of `hours`."""
    found = Detection(-math.inf, None)
    for found in detections(hours):  # noqa: B007  # the last one is wanted
        pass
    return found


def detections(hours: Iterable[tuple[int, Cells]], first: int = 0) -> Iterator[Detection]:
    """Yield the evidence that mean C > mean P since some hour, after each of `hours`.

    `hours` are (number, cells) in order; the stakes of hours without any go to the next one. C is
    scaled by what is allowed at that hour, so that the hypothesis has the ratio 1. Gamblers who
    began before `first` are left out: the others have less than all.
    """
    logs = [-math.inf] * len(BETS)
    runs, starts = [0.0] * len(BETS), [0] * len(BETS)
    staked = first
    for hour, cells in hours:
        stake = log_stakes(staked, hour + 1)
        staked = hour + 1
        moves = [(count, c - p) for count, c, p in cells if count]
        for j, bet in enumerate(BETS):
            factor = sum(count * math.log1p(bet * move) for count, move in moves)
            logs[j] = _log_sum(logs[j], stake) + factor
            if runs[j] <= 0:
                runs[j], starts[j] = 0.0, hour
            runs[j] += factor
        mixed = [weight + log for weight, log in zip(LOG_WEIGHTS, logs, strict=True)]
        best = max(range(len(BETS)), key=mixed.__getitem__)
        largest = mixed[best]
        evidence = largest + math.log(sum(math.exp(each - largest) for each in mixed))
        yield Detection(evidence, starts[best])


def _log_sum(first: float, second: float) -> float:
    larger, smaller = max(first, second), min(first, second)
    if smaller == -math.inf:
        return larger
    return larger + math.log1p(math.exp(smaller - larger))
