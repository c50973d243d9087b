"""Confidence sequences of ratios, differences and shares by betting (e-processes), from counts.

A confidence sequence is valid at all looks together: the probability that it *ever* misses the
true value is at most alpha, however often and for whatever reason one looks. All exact ones here
come from one test martingale, the wealth of a gambler who bets against the hypothesis "the mean of
C is at most m times the mean of P":

    W(m) = sum_j w_j prod_i (1 + u_j (C_i / m - P_i)),        C_i >= 0, 0 <= P_i <= 1, 0 < u_j < 1

Under that hypothesis no factor gains on average, so W is a nonnegative supermartingale that starts
at 1, and by Ville's inequality P(W ever reaches 1/alpha) <= alpha. The bets u_j and their weights
w_j are fixed in advance. The product over pairs depends only on the counts of the distinct (C, P).
Each factor falls as m grows, so the rejected values of m are exactly those below one lower bound.

Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024),
1-27 (the capital process, here with a mixture over constant bets); Howard, Ramdas, McAuliffe &
Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Ann. Stat. 49 (2021),
1055-1080. Assumed: given the past, each pair falls into a cell with the same probabilities.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import log1p
from operator import add
from typing import Final

BETS: Final = tuple(0.95 * 2 ** (-step / 2) for step in range(48))
"""Fractions of the wealth, from 0.95 down to 8e-8: large ones suit 10 pairs, small ones 1e9."""

LOG_WEIGHTS: Final = tuple(
    math.log(1 / (step + 1) / sum(1 / (each + 1) for each in range(len(BETS))))
    for step in range(len(BETS))
)
"""By bet. Harmonic: large bets weigh more, because they find large differences early."""

_PRECISION: Final = 1e-4
"""Tolerance of the search for a bound, relative to the bound's distance from the estimate. The
search stops on the safe side of the bound."""

_NEGLIGIBLE: Final = 40.0
"""A term smaller than the largest by e to this power adds nothing to a sum of doubles."""

Cells = Sequence[tuple[float, float, float]]
"""Rows (count, C, P). Counts need not be whole numbers: projections scale them."""


def log_wealth(cells: Cells, ratio: float) -> float:
    """Return log W(ratio) of the module's docstring: the evidence that mean C > ratio * mean P."""
    if ratio <= 0:
        return math.inf if any(count and c for count, c, _ in cells) else 0.0
    logs = log_products([(count, c / ratio - p) for count, c, p in cells])
    return log_mean(logs)


def log_products(rows: Sequence[tuple[float, float]]) -> list[float]:
    """Return, for each bet u, log prod (1 + u gain)^count over rows (count, gain)."""
    logs = [0.0] * len(BETS)
    for count, gain in rows:
        if count and gain:
            pairs = zip(logs, _log_factors(gain), strict=True)
            logs = [log + count * each for log, each in pairs]
    return logs


@lru_cache(maxsize=1024)
def _log_factors(gain: float) -> tuple[float, ...]:
    """Return log(1 + u gain) for each bet u; cached, since few distinct gains occur."""
    return tuple([log1p(gain * bet) for bet in BETS])


def log_mean(logs: Sequence[float]) -> float:
    """Return the log of the weighted mean wealth, from the log wealth of each bet."""
    mixed: list[float] = list(map(add, LOG_WEIGHTS, logs))
    largest = max(mixed)
    terms = [math.exp(each - largest) for each in mixed if each > largest - _NEGLIGIBLE]
    return largest + math.log(sum(terms))


def lower_bound(cells: Cells, alpha: float) -> float:
    """Return the smallest ratio mean C / mean P that is not rejected at `alpha`, at least 0."""
    return _lower_bound(tuple(cells), alpha)


@lru_cache(maxsize=1024)
def _lower_bound(cells: Cells, alpha: float) -> float:
    """Search for the bound; cached, since an autopilot asks for most cells again an hour later."""
    gain = sum(count * c for count, c, _ in cells)
    stake = sum(count * p for count, _, p in cells)
    if not gain:
        return 0.0
    estimate, needed = gain / stake if stake else math.inf, -math.log(alpha)

    def surplus(ratio: float) -> float:
        return log_wealth(cells, ratio) - needed

    high = estimate if stake else 1.0
    while (at_high := surplus(high)) >= 0:
        high *= 2  # only if all P are 0: at the estimate the gambler cannot have won
    low = high * max(0.5, 1 - math.sqrt(8 * needed / gain))  # twice the distance of a Poisson count
    while (at_low := surplus(low)) < 0:
        high, at_high, low = low, at_low, low / 2
        if low < 1e-12:
            return 0.0
    return _root(surplus, (low, at_low), (high, at_high), estimate)


def _root(
    surplus: Callable[[float], float],
    lower: tuple[float, float],
    upper: tuple[float, float],
    estimate: float,
) -> float:
    """Return the ratio at which `surplus` falls below 0, to `_PRECISION`, on the side above 0.

    `lower` and `upper` are ratios with their surplus, >= 0 and < 0. Regula falsi: the surplus of an
    end that is kept twice is halved (Dowell & Jarratt, "A modified regula falsi method for
    computing the root of an equation", BIT 11 (1971), 168-174). No step is smaller than half of the
    tolerance, so that the last steps close in from both sides.
    """
    (low, at_low), (high, at_high) = lower, upper
    kept = None
    while high - low > (tolerance := _PRECISION * min(low, estimate - low)):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        middle = min(max(middle, low + tolerance / 2), high - tolerance / 2)
        at_middle = surplus(middle)
        if at_middle >= 0:
            low, at_low = middle, at_middle
            at_high /= 2 if kept == "high" else 1
            kept = "high"
        else:
            high, at_high = middle, at_middle
            at_low /= 2 if kept == "low" else 1
            kept = "low"
    return low
