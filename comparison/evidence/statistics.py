"""Estimates of proportions, ratios of paired proportions and flips, each with its source.

Intervals are two-sided and valid for one look at the data. Intervals that stay valid at repeated
looks are in `flags.gate.sequences`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Self

import numpy as np
import numpy.typing as npt

CONFIDENCE: Final = 0.95
"""Coverage of every interval in a summary."""

LARGE_SAMPLE: Final = 30
"""Smallest number of values for which a mean has an interval."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """`count` of `total` with its Wilson interval; `rate` is None where `total` is 0."""

    count: int
    total: int
    rate: float | None
    low: float
    high: float

    @classmethod
    def of(cls, count: int, total: int) -> Self:
        """Estimate count / total; without observations the interval is all of [0, 1]."""
        low, high = wilson_interval(count, total)
        return cls(count, total, count / total if total else None, low, high)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of paired proportions, candidate to primary, with its interval.

    `value` is None where both counts are 0 (the interval is then [0, inf]) and inf where only the
    primary's count is 0.
    """

    value: float | None
    low: float
    high: float


def wilson_interval(
    count: float, total: float, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return Wilson's score interval of a binomial proportion.

    Wilson (1927), JASA 22:209-212: the p with |p̂ - p| = z √(p(1-p)/n). The two roots multiply to
    n p̂² / (n + z²), which gives the smaller one without cancellation.
    """
    return _wilson(count, total, _normal_quantile(confidence))


def paired_ratio(
    both: int, candidate_only: int, primary_only: int, confidence: float = CONFIDENCE
) -> Ratio:
    """Estimate the candidate's number of alarms relative to the primary's, on the same requests.

    The arguments are the cells of the paired 2x2 table in which at least one side has an alarm;
    pairs without an alarm carry no information on the ratio. Interval: Bonett & Price (2006),
    Statistics in Medicine 25:3039-3047, as given by Fagerland, Lydersen & Laake, "Statistical
    Analysis of Contingency Tables" (2017), chapter 8: with n* = both + candidate_only +
    primary_only, take the Wilson intervals (l₁, u₁) of the candidate's and (l₂, u₂) of the
    primary's count out of n*, with z shrunk for the pairing, and return (l₁/u₂, u₁/l₂).
    """
    informative = both + candidate_only + primary_only
    if not informative:
        return Ratio(None, 0.0, math.inf)
    candidate, primary = both + candidate_only, both + primary_only
    pairing = math.sqrt((candidate_only + primary_only + 2) / ((candidate + 1) * (primary + 1)))
    spread = sum(
        math.sqrt((1 - (count + 1) / (informative + 2)) / (count + 1))
        for count in (candidate, primary)
    )
    z = _normal_quantile(confidence) * pairing / spread
    candidate_low, candidate_high = _wilson(candidate, informative, z)
    primary_low, primary_high = _wilson(primary, informative, z)
    return Ratio(
        value=candidate / primary if primary else math.inf,
        low=candidate_low / primary_high,
        high=candidate_high / primary_low if primary_low else math.inf,
    )


def mean_interval(
    values: npt.NDArray[np.float64], confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Return the normal interval of a mean, x̄ ± z s / √n; None below LARGE_SAMPLE values.

    `values` has shape (n,) and is finite. It relies on the central limit theorem, so it is too
    narrow where a few values are much larger than all others.
    """
    if values.size < LARGE_SAMPLE:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean())
        squares = float(np.square(values - mean).sum())
    return interval_of_mean(mean, squares, values.size, confidence)


def interval_of_mean(
    mean: float, squares: float, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Return what `mean_interval` does, from the mean and the sum of squared deviations."""
    if n < LARGE_SAMPLE or not math.isfinite(squares):
        return None
    margin = _normal_quantile(confidence) * math.sqrt(squares / (n - 1) / n)
    return mean - margin, mean + margin


def mcnemar_mid_p(first_only: int, second_only: int) -> float:
    """Return the mid-p version of McNemar's test; 1 without flips.

    The exact p-value minus the point probability of the observed counts, or 1 minus half of it
    for b = c: Fagerland, Lydersen & Laake (2013), BMC Medical Research Methodology 13:91.
    """
    if not first_only and not second_only:
        return 1.0
    tail, point = _fair_coin_tail(first_only, second_only)
    return 1 - point / 2 if first_only == second_only else 2 * tail - point


def quantiles(
    values: npt.NDArray[np.float64], probabilities: Iterable[float]
) -> dict[float, float | None]:
    """Return the linearly interpolated sample quantiles (Hyndman & Fan 1996, type 7).

    `values` has shape (n,). Values that are not finite are left out; None without values.
    """
    wanted = list(probabilities)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return dict.fromkeys(wanted)
    return dict(zip(wanted, np.quantile(finite, wanted).tolist(), strict=True))


def _normal_quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _wilson(count: float, total: float, z: float) -> tuple[float, float]:
    if not total:
        return 0.0, 1.0
    root = z * math.sqrt(z * z + 4 * count * (1 - count / total))
    high = (2 * count + z * z + root) / (2 * (total + z * z))
    low = count * count / (total * (total + z * z) * high)
    return low, min(1.0, high)


def _fair_coin_tail(first: int, second: int) -> tuple[float, float]:
    """Return P(X <= m) and P(X = m) for X ~ Binomial(first + second, 1/2), m the smaller count."""
    flips, fewer = first + second, min(first, second)
    log_point = (
        math.lgamma(flips + 1)
        - math.lgamma(fewer + 1)
        - math.lgamma(flips - fewer + 1)
        - flips * math.log(2)
    )
    point = math.exp(log_point)
    below = np.arange(fewer, 0, -1, dtype=np.float64)
    tail = point * (1 + float(np.cumprod(below / (flips - below + 1)).sum()))
    return tail, point
