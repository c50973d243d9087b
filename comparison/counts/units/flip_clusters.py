"""How far flips cluster in minutes, for pairs that name no unit: a sign that requests are alike.

Where a customer sends a burst of alike requests, its flips fall into the same minute. Beside flips
that are independent at the rate of their hour, the excess of pairs of flips in the same minute, by
flip, is the design effect of such bursts (Kish, "Survey Sampling", 1965, 5.4): 1 + B - 1 for bursts
of B flips.
"""

from typing import Final

import pandas as pd
from scipy import stats

from comparison.engines.grouping import HOUR, LATENCY_BLOCK, MINUTE, Dtypes

CHANCE: Final = 0.001
"""With how small a probability independent flips must meet so often, to be taken for bursts."""

LONG: Final = 3
"""Hours with flips from which a minute is held against its hour, and not against ten minutes."""

MINUTES: Final[Dtypes] = {"minute": "int64", "flips": "int64"}


def clustering(minutes: pd.DataFrame) -> float:
    """Return the design effect of flips within minutes, 1 where they may be independent.

    `minutes` has minute (since 1970), flips (pairs that were decided differently) and n: all pairs.
    The period with the largest excess is left out: a rate may change once in a while, and does so
    in the middle of a period.
    """
    periods = _periods(minutes, HOUR // MINUTE)
    if len(periods) < LONG:
        periods = _periods(minutes, LATENCY_BLOCK // MINUTE)
    rest = periods.drop(index=periods["excess"].nlargest(1).index)
    met, by_chance, flips = (float(rest[name].sum()) for name in ("met", "by_chance", "flips"))
    # Meetings of independent flips are rare among many possible ones, hence about Poisson.
    if not flips or stats.poisson.sf(met - 1, by_chance) > CHANCE:
        return 1.0
    return 1 + 2 * (met - by_chance) / flips


def _periods(minutes: pd.DataFrame, length: int) -> pd.DataFrame:
    """Count, by period with flips, how many pairs of them met in a minute, and would by chance."""
    flips, n = (minutes[name].astype("float64") for name in ("flips", "n"))
    each = pd.DataFrame(
        {
            "period": minutes["minute"] // length,
            "flips": flips,
            "n": n,
            "met": flips * (flips - 1) / 2,
            "square": n**2,
        }
    )
    sums = pd.DataFrame(each.groupby("period").sum())
    sums = sums[sums["flips"] > 0]
    by_chance = sums["flips"] * (sums["flips"] - 1) / 2 * sums["square"] / sums["n"] ** 2
    return sums.assign(by_chance=by_chance, excess=sums["met"] - by_chance)
