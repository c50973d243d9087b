"""The health of both sides, from the counts of pairs by status."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from comparison.pairs.columns import SIDES
from flags.gate.evidence import DURATION_EDGES, Count, Durations, Health, Paired

Truths = npt.NDArray[np.bool_]

CALLED = frozenset({"ok", "error", "timeout"})
FAILED = frozenset({"error", "timeout"})
"""Statuses of a side that was called, and of those, the ones without an answer."""


def health(pairs: pd.DataFrame, durations: pd.DataFrame) -> Health:
    """Count over `Aggregates.pairs`, or a part of its rows, and `Aggregates.durations`."""
    n = pairs["n"].to_numpy(dtype=np.int64)
    failed = [_among(pairs, f"{side}_status", FAILED) for side in SIDES]
    called = [_among(pairs, f"{side}_status", CALLED) for side in SIDES]
    shed = [_among(pairs, f"{side}_status", frozenset({"shed"})) for side in SIDES]
    active = _among(pairs, "active", frozenset({"candidate"}))
    fallback = pairs["fallback"].fillna(False).to_numpy(dtype=bool)
    both_called = called[0] & called[1]

    def pairs_of(rows: Truths) -> int:
        return int(n[rows].sum())

    return Health(
        statuses={side: by_value(pairs, f"{side}_status") for side in SIDES},
        failures=Paired(
            both=pairs_of(both_called & failed[0] & failed[1]),
            primary_only=pairs_of(both_called & failed[0] & ~failed[1]),
            candidate_only=pairs_of(both_called & ~failed[0] & failed[1]),
            neither=pairs_of(both_called & ~failed[0] & ~failed[1]),
        ),
        fallbacks=Count(pairs_of(active & fallback), pairs_of(active)),
        shed=Count(pairs_of(shed[0] | shed[1]), int(n.sum())),
        primary_served=Count(
            pairs_of(_among(pairs, "served", frozenset({"primary"}))),
            pairs_of(pairs["served"].notna().to_numpy(dtype=bool)),
        ),
        durations={side: _durations(durations, side) for side in SIDES},
    )


def by_value(pairs: pd.DataFrame, column: str) -> dict[str, int]:
    """Count the pairs by the values that occur in a column, the most frequent first."""
    counts = pairs.groupby(column, observed=True)["n"].sum()
    counts = counts[counts > 0].sort_values(ascending=False, kind="stable")
    return {str(value): int(count) for value, count in counts.items()}


def _among(pairs: pd.DataFrame, column: str, values: frozenset[str]) -> Truths:
    return pairs[column].isin(values).to_numpy(dtype=bool)


def _durations(durations: pd.DataFrame, side: str) -> Durations:
    rows = durations.loc[durations["side"] == side]
    size = len(DURATION_EDGES) + 1
    counts = np.bincount(rows["bin"].to_numpy(np.int64), rows["n"].to_numpy(), minlength=size)
    return Durations(tuple(counts.astype(np.int64).tolist()))
