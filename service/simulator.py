"""A simulator of card transactions, with fraud and with the features that the models need.

Rules and figures are those of Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine
Learning for Credit Card Fraud Detection" (2022), chapter 3: "Transaction data simulator" and
"Baseline feature transformation"
(https://fraud-detection-handbook.github.io/fraud-detection-handbook/); the code is ours. It differs
in two places: a transaction on a leaked card is fraud with probability 1/3, where the book draws
exactly a third of them, and an amount is multiplied once even if the card leaked twice.
"""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DAY: Final = 86_400
"""Seconds."""
START: Final = np.datetime64("2018-04-01", "s")
"""Day 0, a Sunday, as in the handbook's data."""
WINDOWS: Final = (1, 7, 30)
"""Lengths of the feature windows, in days."""
LABEL_DELAY: Final = 7
"""Days until the fraud at a terminal is known."""

LARGE_AMOUNT: Final = 220.0
"""Scenario 1: any amount above is fraud."""
TERMINALS_A_DAY: Final = 2
TERMINAL_DAYS: Final = 28
"""Scenario 2: terminals compromised each day, and for how many days."""
CARDS_A_DAY: Final = 3
CARD_DAYS: Final = 14
CARD_SHARE: Final = 1 / 3
CARD_FACTOR: Final = 5.0
"""Scenario 3: cards leaked each day, for how many days, the share of their transactions that turns
into fraud, and by what those amounts are multiplied."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def simulate(
    n_customers: int = 5_000,
    n_terminals: int = 10_000,
    n_days: int = 122,
    *,
    radius: float = 5.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return one row per transaction in order of time, with the columns of the handbook's table.

    Customers and terminals are spread over a square of side 100; a customer pays only at terminals
    nearer than `radius`. The default numbers are the handbook's; fewer customers and terminals make
    fraud more frequent than its 0.8 %, because a fixed number is compromised each day. The same
    arguments give the same table. Terminal windows are incomplete in the first 37 days.
    """
    rng = np.random.default_rng(seed)
    transactions = _genuine(rng, n_customers, n_terminals, n_days, radius)
    return add_features(_add_fraud(rng, transactions, n_customers, n_terminals, n_days))


def _genuine(
    rng: np.random.Generator, n_customers: int, n_terminals: int, n_days: int, radius: float
) -> pd.DataFrame:
    """Draw customer, amount, time and terminal of each transaction; none is fraud yet."""
    home = rng.uniform(0, 100, (n_customers, 2))
    place = rng.uniform(0, 100, (n_terminals, 2))
    mean_amount = rng.uniform(5, 100, n_customers)
    tx_per_day = rng.uniform(0, 4, n_customers)
    nearby = [np.flatnonzero(((place - at) ** 2).sum(axis=1) < radius**2) for at in home]
    choices = np.array([len(terminals) for terminals in nearby])
    tx_per_day[choices == 0] = 0  # no terminal in reach, no transaction

    counts = rng.poisson(tx_per_day[:, None], (n_customers, n_days))
    customer, day = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    # Payments concentrate around noon; times outside the day are dropped.
    second = rng.normal(DAY / 2, 20_000, len(customer)).astype(np.int64)
    happens = (second > 0) & (second < DAY)
    customer, time = customer[happens], (day * DAY + second)[happens]
    order = np.argsort(time, kind="stable")
    customer, time = customer[order], time[order]

    mean = mean_amount[customer]
    amount = rng.normal(mean, mean / 2)
    amount = np.where(amount < 0, rng.uniform(0, 2 * mean), amount).round(2)
    pick = (rng.random(len(customer)) * choices[customer]).astype(np.int64)
    first_choice = np.cumsum(choices) - choices
    return pd.DataFrame(
        {
            "TRANSACTION_ID": np.arange(len(customer)),
            "TX_DATETIME": (START + time).astype("datetime64[ns]"),
            "CUSTOMER_ID": customer,
            "TERMINAL_ID": np.concatenate(nearby)[first_choice[customer] + pick],
            "TX_AMOUNT": amount,
            "TX_TIME_DAYS": time // DAY,
        }
    )


def _add_fraud(
    rng: np.random.Generator,
    transactions: pd.DataFrame,
    n_customers: int,
    n_terminals: int,
    n_days: int,
) -> pd.DataFrame:
    """Return the table with TX_FRAUD and its TX_FRAUD_SCENARIO; of several, the highest one.

    1: the amount is above 220. 2: the terminal was compromised in the last 28 days. 3: the card was
    leaked in the last 14 days; a third of its transactions are fraud, at five times the amount.
    """
    day = transactions["TX_TIME_DAYS"].to_numpy()
    at_terminal = _compromised(rng, n_terminals, n_days, TERMINALS_A_DAY, TERMINAL_DAYS)
    with_card = _compromised(rng, n_customers, n_days, CARDS_A_DAY, CARD_DAYS)
    stolen = with_card[transactions["CUSTOMER_ID"].to_numpy(), day]
    stolen &= rng.random(len(day)) < CARD_SHARE

    amount = transactions["TX_AMOUNT"].to_numpy()
    scenario = np.select(
        [stolen, at_terminal[transactions["TERMINAL_ID"].to_numpy(), day], amount > LARGE_AMOUNT],
        [3, 2, 1],
        default=0,
    )
    return transactions.assign(
        TX_AMOUNT=np.where(stolen, (amount * CARD_FACTOR).round(2), amount),
        TX_FRAUD=(scenario > 0).astype(np.int64),
        TX_FRAUD_SCENARIO=scenario,
    )


def _compromised(
    rng: np.random.Generator, n: int, n_days: int, a_day: int, lasting: int
) -> NDArray[np.bool_]:
    """Return which of `n` items are compromised, shape (n, n_days): `a_day` new ones each day."""
    compromised = np.zeros((n, n_days), dtype=np.bool_)
    for day in range(n_days):
        compromised[rng.choice(n, min(a_day, n), replace=False), day : day + lasting] = True
    return compromised


def add_features(transactions: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the 14 features by time, customer, terminal and fraud.

    Rows must be in order of time. A customer's window is (now - w, now], this row included but not
    later rows of the same second; a terminal's is (now - 7 d - w, now - 7 d], with risk 0 when it
    is empty.
    """
    when = transactions["TX_DATETIME"]
    columns: dict[str, NDArray[Any]] = {
        "TX_DURING_WEEKEND": (when.dt.day_of_week >= 5).to_numpy(np.int64),
        "TX_DURING_NIGHT": (when.dt.hour <= 6).to_numpy(np.int64),
    }
    second = when.to_numpy("datetime64[s]").astype(np.int64)
    columns |= _customer_windows(
        transactions["CUSTOMER_ID"].to_numpy(np.int64),
        second,
        transactions["TX_AMOUNT"].to_numpy(np.float64),
    )
    columns |= _terminal_windows(
        transactions["TERMINAL_ID"].to_numpy(np.int64),
        second,
        transactions["TX_FRAUD"].to_numpy(np.float64),
    )
    return transactions.assign(**columns)


def _customer_windows(customer: Ints, second: Ints, amount: Floats) -> dict[str, Floats]:
    order, key = _by_owner(customer, second)
    total = _running_total(amount[order])
    end = np.arange(1, len(key) + 1)
    columns = {}
    for days in WINDOWS:
        start = np.searchsorted(key, key - days * DAY, side="right")
        n = (end - start).astype(np.float64)
        columns[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"] = _undo(order, n)
        columns[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"] = _undo(
            order, (total[end] - total[start]) / n
        )
    return columns


def _terminal_windows(terminal: Ints, second: Ints, fraud: Floats) -> dict[str, Floats]:
    order, key = _by_owner(terminal, second)
    total = _running_total(fraud[order])
    end = np.searchsorted(key, key - LABEL_DELAY * DAY, side="right")
    columns = {}
    for days in WINDOWS:
        start = np.searchsorted(key, key - (LABEL_DELAY + days) * DAY, side="right")
        n = (end - start).astype(np.float64)
        columns[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] = _undo(order, n)
        columns[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] = _undo(
            order, (total[end] - total[start]) / np.maximum(n, 1)
        )
    return columns


def _by_owner(owner: Ints, second: Ints) -> tuple[Ints, Ints]:
    """Return the order by owner and time, and sorted keys in which no window spans two owners."""
    order = np.argsort(owner, kind="stable")
    span = second.max(initial=0) + (LABEL_DELAY + max(WINDOWS) + 1) * DAY
    return order, owner[order] * span + second[order]


def _running_total(values: Floats) -> Floats:
    """Return the sums of the first 0, 1, ..., n values; their differences are sums of windows."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _undo(order: Ints, values: Floats) -> Floats:
    restored = np.empty_like(values)
    restored[order] = values
    return restored
