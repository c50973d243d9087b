"""Bursts of alike requests, for pairs that name no unit: what they look like in minutes.

Where a customer sends a burst of alike requests, its flips fall into the same minute. Minutes are
held against others nearby, so that a rate which drifts is no burst. Minutes without pairs are left
out: a burst may be all the traffic that there is.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Numbers = npt.NDArray[np.float64]

CHANCE: Final = 0.001
"""With how small a probability chance brings what is taken for bursts."""

FLIPS: Final = 60
"""Flips in a period, about: more would show how the rate drifts within it."""

SHORTEST: Final = 2
LONGEST: Final = 60
"""Minutes in a period."""

LEAST: Final = 10
"""Minutes without which none can be told from others: those that lack count as without flips."""

DRIFT: Final = 0.001
"""Share of the meetings by chance that may come besides: minutes nearby differ by 3 %."""

ONCE: Final = 0.25
"""Share of the flips up to which the period with the largest excess is left out.

A rate may change once in a while, and does so in the middle of a period.
"""


def clustering(minutes: pd.DataFrame, flips: str = "flips") -> float:
    """Return the design effect of flips within minutes, 1 where they may be independent.

    `minutes` has minute (since 1970), flips (pairs that were decided differently) and n: all pairs.
    The excess of pairs of flips in the same minute, by flip, is the effect of bursts of B flips:
    1 + B - 1 (Kish, "Survey Sampling", 1965, 5.4).
    """
    held = _periods(minutes, [flips])
    if not held[flips].sum():
        return 1.0
    each = held.assign(met=_pairs(held[flips]), could=_pairs(held["n"]))
    sums = each.groupby("period").sum()
    share = sums["could"] / _pairs(sums["n"]).clip(lower=1)
    by_chance = (1 + DRIFT) * share * _pairs(sums[flips])
    sums = sums.assign(by_chance=by_chance, told=sums[flips] * (1 - share))
    largest = int((sums["met"] - by_chance).argmax())
    if sums[flips].iloc[largest] <= ONCE * sums[flips].sum():
        sums = sums.drop(index=sums.index[largest])
    met, by_chance, told = (float(sums[name].sum()) for name in ("met", "by_chance", "told"))
    # Meetings of independent flips are rare among many possible ones, hence about Poisson.
    if not told or stats.poisson.sf(met - 1, by_chance) > CHANCE:
        return 1.0
    return 1 + 2 * (met - by_chance) / told


def unusual(minutes: pd.DataFrame, flips: Sequence[str]) -> pd.DataFrame:
    """Return, by minute, how many flips of each kind it has more than would come by chance."""
    held = _periods(minutes, flips)
    if held.empty:
        return held[["minute", *flips]]
    found = {name: held[name] - np.minimum(held[name], _usual(held, name)) for name in flips}
    return held[["minute"]].assign(**found)[held["minute"] >= 0]


def _usual(held: pd.DataFrame, name: str) -> Numbers:
    """Return how many flips count of each minute: those that come by chance, and one at least."""
    flips, n, period = (held[each].to_numpy() for each in (name, "n", "period"))
    rate = pd.Series(flips / n)
    order = np.argsort(rate.to_numpy())
    # Half of all pairs are in minutes with this rate at most: that of batches beside single ones.
    middle = np.searchsorted(np.cumsum(n[order]), n.sum() / 2)
    usual = float(rate.iloc[order[middle]])
    rates = rate.groupby(period).median().clip(lower=usual).to_numpy()
    some = np.minimum(flips, _most(rates[period] * n))
    rates = np.bincount(period, some) / np.bincount(period, n)
    return _most(rates[period] * n)


def _most(mean: Numbers) -> Numbers:
    return np.maximum(1.0, np.asarray(stats.poisson.isf(CHANCE, mean), dtype=np.float64))


def _periods(minutes: pd.DataFrame, flips: Sequence[str]) -> pd.DataFrame:
    """Return the minutes with pairs in order of time, and their period, numbered from 0."""
    held = minutes.loc[minutes["n"] > 0, ["minute", *flips, "n"]].sort_values("minute")
    if 0 < len(held) < LEAST:
        lacking = {"minute": -1, **dict.fromkeys(flips, 0), "n": int(np.ceil(held["n"].mean()))}
        held = pd.concat([held, pd.DataFrame([lacking] * (LEAST - len(held)))], ignore_index=True)
    total = held[list(flips)].to_numpy().sum()
    length = int(np.clip(FLIPS * len(held) / max(1, total), SHORTEST, LONGEST))
    # The last one is longer, so that none is shorter.
    period = np.minimum(np.arange(len(held)) // length, max(0, len(held) // length - 1))
    return held.assign(period=period)


def _pairs(of: Any) -> Any:
    """Return how many pairs there are of so many."""
    return of * (of - 1) / 2
