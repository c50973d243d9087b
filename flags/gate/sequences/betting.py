"""Confidence sequences of ratios, differences and shares by betting (e-processes), from counts.

A confidence sequence holds at every look at once: the probability that it *ever* misses the truth
is at most alpha, however often and for whatever reason one looks. All exact ones here come from one
test martingale, a gambler who bets against "the mean of C is at most m times the mean of P":

    W(m) = sum_j w_j prod_i (1 + u_j (C_i / m - P_i)),        C_i >= 0, 0 <= P_i <= 1, 0 < u_j < 1

Under that hypothesis no factor gains on average, so W is a nonnegative supermartingale from 1, and
by Ville's inequality P(W ever reaches 1/alpha) <= alpha. The bets u_j and their weights w_j are
fixed beforehand, and a product over pairs depends on the counts of the distinct (C, P) alone. Each
factor falls as m grows, so the m that are refused are exactly those below one lower bound.

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
"""From nearly everything down to 8e-8: right for 10 pairs, and for billions of them."""

LOG_WEIGHTS: Final = tuple(
    math.log(1 / (step + 1) / sum(1 / (each + 1) for each in range(len(BETS))))
    for step in range(len(BETS))
)
"""By bet. Harmonic: large bets, which find large differences early, weigh more."""

_PRECISION: Final = 1e-4
"""How near the search comes to a bound, by its distance from the estimate; on the safe side."""

_BESIDE: Final = 40.0
"""What is smaller by e to this power adds nothing to a sum of doubles."""

Cells = Sequence[tuple[float, float, float]]
"""Rows (count, C, P). Counts need not be whole: projections scale them."""


def log_wealth(cells: Cells, ratio: float) -> float:
    """Return log W(ratio) of the module's docstring: evidence that mean C > ratio * mean P."""
    if ratio <= 0:
        return math.inf if any(count and c for count, c, _ in cells) else 0.0
    logs = log_products([(count, c / ratio - p) for count, c, p in cells])
    return log_mean(logs)


def log_products(moves: Sequence[tuple[float, float]]) -> list[float]:
    """Return, by bet u, log prod (1 + u move)^count of rows (count, move)."""
    logs = [0.0] * len(BETS)
    for count, move in moves:
        if count and move:
            pairs = zip(logs, _log_moves(move), strict=True)
            logs = [log + count * each for log, each in pairs]
    return logs


@lru_cache(maxsize=1024)
def _log_moves(move: float) -> tuple[float, ...]:
    """Return, by bet u, log(1 + u move): of other counts, and other pairs, it is often the same."""
    return tuple([log1p(move * bet) for bet in BETS])


def log_mean(logs: Sequence[float]) -> float:
    """Return the log of the mean of what each bet has, by the bets' weights."""
    mixed: list[float] = list(map(add, LOG_WEIGHTS, logs))
    largest = max(mixed)
    beside = [math.exp(each - largest) for each in mixed if each > largest - _BESIDE]
    return largest + math.log(sum(beside))


def lower_bound(cells: Cells, alpha: float) -> float:
    """Return the smallest ratio mean C / mean P that is not refused at `alpha`, at least 0."""
    return _lower_bound(tuple(cells), alpha)


@lru_cache(maxsize=1024)
def _lower_bound(cells: Cells, alpha: float) -> float:
    """Search for it; an autopilot asks about most cells again when an hour has passed."""
    gain = sum(count * c for count, c, _ in cells)
    stake = sum(count * p for count, _, p in cells)
    if not gain:
        return 0.0
    estimate, needed = gain / stake if stake else math.inf, -math.log(alpha)

    def surplus(ratio: float) -> float:
        return log_wealth(cells, ratio) - needed

    high = estimate if stake else 1.0
    while (at_high := surplus(high)) >= 0:
        high *= 2  # only without any P: at the ratio that was found, the gambler cannot have won
    low = high * max(0.5, 1 - math.sqrt(8 * needed / gain))  # twice as far as of a Poisson count
    while (at_low := surplus(low)) < 0:
        high, at_high, low = low, at_low, low / 2
        if low < 1e-12:
            return 0.0
    return _largest(surplus, (low, at_low), (high, at_high), estimate)


def _largest(
    surplus: Callable[[float], float],
    least: tuple[float, float],
    most: tuple[float, float],
    estimate: float,
) -> float:
    """Return the largest ratio, nearly, of which there is a surplus: of the least, not of the most.

    Both come with their surplus. By regula falsi: an end that stays twice weighs half (Dowell &
    Jarratt, "A modified regula falsi method for computing the root of an equation", BIT 11 (1971),
    168-174). No step is smaller than half of the precision, so that the last ones close in from
    both sides.
    """
    (low, at_low), (high, at_high) = least, most
    stays = None
    while high - low > (near := _PRECISION * min(low, estimate - low)):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        middle = min(max(middle, low + near / 2), high - near / 2)
        at_middle = surplus(middle)
        if at_middle >= 0:
            low, at_low = middle, at_middle
            at_high /= 2 if stays == "high" else 1
            stays = "high"
        else:
            high, at_high = middle, at_middle
            at_low /= 2 if stays == "low" else 1
            stays = "low"
    return low
