"""Card transactions and what two models say of them, as a table of pairs."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

FLAG, OUTPUT = "fraud-detector-v2", "fraud_probability"

Scores = npt.NDArray[np.float64]


def request_ids(transactions: pd.DataFrame) -> list[str]:
    """Return the id of the request that each transaction came with."""
    return [f"t{number}" for number in transactions["TRANSACTION_ID"]]


def times(transactions: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return when they came, in nanoseconds since 1970."""
    found = transactions["TX_DATETIME"].astype("datetime64[ns]").astype("int64")
    return found.to_numpy(np.int64)


def card_pairs(
    transactions: pd.DataFrame,
    scores: dict[str, Scores],
    thresholds: dict[str, float],
    *,
    rollout: float = 0.0,
    active: npt.NDArray[np.bool_] | None = None,
    units: bool = False,
) -> pa.Table:
    """Return the pairs, scores and thresholds by side; `active` are those of the candidate.

    With `units`, the flag draws customers, and they are the units.
    """
    rows = len(transactions)
    ids = request_ids(transactions)
    chosen = np.zeros(rows, bool) if active is None else active
    sides = np.where(chosen, "candidate", "primary").tolist()
    table: dict[str, object] = {
        "span_id": ids,
        "request_id": ids,
        "time": times(transactions),
        "flag": [FLAG] * rows,
        "active": sides,
        "served": sides,
        "fallback": np.zeros(rows, bool),
        "rollout": np.full(rows, rollout),
        "worker": ["w"] * rows,
        "sequence": np.arange(1, rows + 1),
        "segment.night": transactions["TX_DURING_NIGHT"].astype(str).tolist(),
        "feature.tx_amount": transactions["TX_AMOUNT"].to_numpy(np.float64),
    }
    if units:
        table |= {
            "unit": transactions["CUSTOMER_ID"].astype(str).tolist(),
            "stickiness": ["userId"] * rows,
        }
    for side, score in scores.items():
        table |= {
            f"{side}_status": ["ok"] * rows,
            f"{side}_model": [f"fraud-{side}:1"] * rows,
            f"{side}_duration": np.full(rows, 0.001),
            f"{side}_score.{OUTPUT}": score,
            f"{side}_threshold.{OUTPUT}": np.full(rows, thresholds[side]),
            f"{side}_decision.{OUTPUT}": score >= thresholds[side],
        }
    return pa.table(table)
