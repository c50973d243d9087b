"""Bursts of alike requests among pairs that name no unit, found by their flips in minutes.

If a customer sends a burst of alike requests, their flips fall into the same minute. A minute is
compared only with the minutes of its period (up to an hour), so that a rate which drifts is not
taken for bursts. Minutes without pairs are left out: a burst may be all the traffic there is.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Numbers = npt.NDArray[np.float64]

ALPHA: Final = 0.001
"""Significance level: flips that chance brings more rarely are taken for bursts."""

FLIPS_PER_PERIOD: Final = 60
"""Approximate flips in a period: with more, the drift of the rate within it would show."""

SHORTEST_PERIOD: Final = 2
LONGEST_PERIOD: Final = 60
"""Minutes in a period."""

MIN_MINUTES: Final = 10
"""Minutes needed to compare one with the others: minutes that passed without pairs are added as
minutes without flips. In fewer minutes a burst cannot be told from a change."""

DRIFT: Final = 0.001
"""Coincidences added to the expected ones, as a share: rates of nearby minutes differ by 3 %."""

MAX_LEFT_OUT: Final = 0.25
"""The period with the largest excess is left out if it has at most this share of the flips.

A rate may change once in a while, and does so in the middle of a period.
"""


def design_effect(minutes: pd.DataFrame, flips: str = "flips") -> float:
    """Return the design effect of flips within minutes; 1 if they may be independent.

    `minutes` has minute (since 1970), the column `flips` (pairs that were decided differently) and
    n (all pairs). Two flips in the same minute are a coincidence. Bursts of B flips have a design
    effect of 1 + (B - 1) (Kish, "Survey Sampling", 1965, 5.4): twice the coincidences beyond
    chance, per flip, are the B - 1.
    """
    by_minute = _with_periods(minutes, [flips])
    if not by_minute[flips].sum():
        return 1.0
    coincidences = by_minute.assign(
        observed=_pair_count(by_minute[flips]), possible=_pair_count(by_minute["n"])
    )
    sums = coincidences.groupby("period").sum()
    share = sums["possible"] / _pair_count(sums["n"]).clip(lower=1)
    expected = (1 + DRIFT) * share * _pair_count(sums[flips])
    # The fewer pairs of requests are in different minutes, the less a flip shows.
    sums = sums.assign(expected=expected, informative=sums[flips] * (1 - share))
    largest = int((sums["observed"] - expected).argmax())
    if sums[flips].iloc[largest] <= MAX_LEFT_OUT * sums[flips].sum():
        sums = sums.drop(index=sums.index[largest])
    observed, expected, informative = (
        float(sums[name].sum()) for name in ("observed", "expected", "informative")
    )
    # Coincidences of independent flips are rare among many possible ones, hence about Poisson.
    if not informative or stats.poisson.sf(observed - 1, expected) > ALPHA:
        return 1.0
    return 1 + 2 * (observed - expected) / informative


def excess_flips(minutes: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """Return, by minute, the flips of each kind beyond the number that chance may bring.

    `kinds` are columns of `minutes`, which is as in `design_effect`.
    """
    by_minute = _with_periods(minutes, kinds)
    if by_minute.empty:
        return by_minute[["minute", *kinds]]
    excess = {
        kind: by_minute[kind] - np.minimum(by_minute[kind], _flip_limits(by_minute, kind))
        for kind in kinds
    }
    return by_minute[["minute"]].assign(**excess)[by_minute["minute"] >= 0]


def _flip_limits(by_minute: pd.DataFrame, kind: str) -> Numbers:
    """Return how many flips may count in each minute: as many as chance may bring, at least 1."""
    flips, n, period = (by_minute[name].to_numpy() for name in (kind, "n", "period"))
    rate = pd.Series(flips / n)
    order = np.argsort(rate.to_numpy())
    # The median over pairs, not over minutes: if batches come beside single requests, their rate.
    middle = np.searchsorted(np.cumsum(n[order]), n.sum() / 2)
    median_of_pairs = float(rate.iloc[order[middle]])
    rates = rate.groupby(period).median().clip(lower=median_of_pairs).to_numpy()
    # A second pass uses each period's mean rate, without the flips beyond the first limits.
    counted = np.minimum(flips, _chance_limits(rates[period] * n))
    rates = np.bincount(period, counted) / np.bincount(period, n)
    return _chance_limits(rates[period] * n)


def _chance_limits(means: Numbers) -> Numbers:
    """Return for each mean what a Poisson count exceeds with at most `ALPHA`; at least 1."""
    return np.maximum(1.0, np.asarray(stats.poisson.isf(ALPHA, means), dtype=np.float64))


def _with_periods(minutes: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """Return the minutes with pairs in order of time, with their period, numbered from 0.

    Rows added to reach `MIN_MINUTES` have the minute -1.
    """
    by_minute = minutes.loc[minutes["n"] > 0, ["minute", *kinds, "n"]].sort_values("minute")
    passed = int(minutes["minute"].max() - minutes["minute"].min()) + 1 if len(by_minute) else 0
    if (lacking := min(MIN_MINUTES, passed) - len(by_minute)) > 0:
        mean = int(np.ceil(by_minute["n"].mean()))
        empty = {"minute": -1, **dict.fromkeys(kinds, 0), "n": mean}
        added = pd.DataFrame([empty] * lacking)
        by_minute = pd.concat([by_minute, added], ignore_index=True)
    flips = by_minute[list(kinds)].to_numpy().sum()
    wanted = FLIPS_PER_PERIOD * len(by_minute) / max(1, flips)
    length = int(np.clip(wanted, SHORTEST_PERIOD, LONGEST_PERIOD))
    # The last period takes the remaining minutes, so that no period is shorter than `length`.
    last = max(0, len(by_minute) // length - 1)
    return by_minute.assign(period=np.minimum(np.arange(len(by_minute)) // length, last))


def _pair_count(number: Any) -> Any:
    """Return the number of pairs among `number` things."""
    return number * (number - 1) / 2
