"""The evidence of preferences, from a row for each judged pair."""

from collections import Counter
from typing import Final, TypeVar

import pandas as pd

from flags.gate.evidence import Count, PreferenceEvidence, UnitPreference, UnitShare

_LEVELS: Final = 128

T = TypeVar("T", pd.DataFrame, "pd.Series[float]")


def preference_evidence(
    output: str | None, judged: pd.DataFrame, same_model: pd.DataFrame
) -> PreferenceEvidence:
    """Return the evidence; each unit counts once.

    `judged` are rows of `comparison.judges.preferences` with a column `unit`; a pair without a unit
    is a unit of its own. `same_model` are rows of pairs whose sides ran the same model.
    """
    units = judged["unit"].fillna("\0" + judged["request_id"])
    by_unit = judged.groupby(units, sort=False)[["least", "most"]].mean()
    rounded = _rounded(by_unit).itertuples(index=False, name=None)
    counted = Counter((float(least), float(most)) for least, most in rounded)
    orders = pd.concat([judged, same_model])
    both = orders["consistent"].dropna()
    return PreferenceEvidence(
        output=output,
        units=tuple(UnitPreference(least, most, n) for (least, most), n in sorted(counted.items())),
        pairs=len(judged),
        failed=int((judged["least"] < judged["most"]).sum()),
        position=_shares(orders["first"].dropna()),
        consistent=Count(int(both.sum()), len(both)),
        same_model=_shares((same_model["least"] + same_model["most"]) / 2),
        judges=tuple(sorted(judged["judge"].dropna().unique())),
    )


def _rounded(values: T) -> T:
    """Round to 1/128: the time of a sequence grows with the number of distinct values."""
    return (values * _LEVELS).round() / _LEVELS


def _shares(values: "pd.Series[float]") -> tuple[UnitShare, ...]:
    counts = Counter(_rounded(values.astype("float64")).tolist())
    return tuple(UnitShare(value, n) for value, n in sorted(counts.items()))
