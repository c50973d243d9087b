from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.replay import bodies
from service.schema import COLUMNS, FEATURES, Transaction, to_rows
from service.simulator import START, add_features, simulate

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def transactions() -> pd.DataFrame:
    return simulate(300, 600, 60, radius=10, seed=3)


def test_the_same_seed_gives_the_same_table(transactions: pd.DataFrame) -> None:
    again = simulate(300, 600, 60, radius=10, seed=3)
    pd.testing.assert_frame_equal(transactions, again)
    assert not transactions["TX_AMOUNT"].equals(
        simulate(300, 600, 60, radius=10, seed=4)["TX_AMOUNT"]
    )


def test_the_table_has_the_columns_of_the_handbook_in_order_of_time(
    transactions: pd.DataFrame,
) -> None:
    assert set(transactions.columns) == {
        *("TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_TIME_DAYS"),
        *("TX_FRAUD", "TX_FRAUD_SCENARIO"),
        *COLUMNS.values(),
    }
    assert transactions["TX_DATETIME"].is_monotonic_increasing
    assert transactions["TRANSACTION_ID"].tolist() == list(range(len(transactions)))
    days = (transactions["TX_DATETIME"].dt.normalize() - pd.Timestamp(START)) // DAY
    assert (days == transactions["TX_TIME_DAYS"]).all()
    assert set(days) == set(range(60))
    assert transactions.notna().all(axis=None)


def test_customers_differ_in_amount_and_pace_within_the_handbooks_limits(
    transactions: pd.DataFrame,
) -> None:
    genuine = transactions[transactions["TX_FRAUD_SCENARIO"] != 3]
    busy = genuine.groupby("CUSTOMER_ID")["TX_AMOUNT"].agg(["mean", "size"]).query("size > 100")
    assert busy["mean"].between(5, 105).all()
    assert busy["mean"].std() > 15
    assert busy["size"].max() < 60 * 4 * 1.3
    assert genuine["TX_AMOUNT"].ge(0).all()


def test_customers_pay_only_at_terminals_in_reach(transactions: pd.DataFrame) -> None:
    terminals = transactions.groupby("CUSTOMER_ID")["TERMINAL_ID"].nunique()
    in_reach = 600 * np.pi * 10**2 / 100**2  # about 19 of 600
    assert terminals.median() < in_reach * 1.5
    assert simulate(20, 20, 10, radius=0).empty


def test_the_scenario_says_why_it_is_fraud(transactions: pd.DataFrame) -> None:
    scenario, amount = transactions["TX_FRAUD_SCENARIO"], transactions["TX_AMOUNT"]
    assert (transactions["TX_FRAUD"] == (scenario > 0)).all()
    assert set(scenario) == {0, 1, 2, 3}
    assert amount[scenario == 1].gt(220).all()
    assert amount[scenario == 0].le(220).all()
    # A compromised terminal does nothing but fraud as long as it lasts.
    compromised = transactions.groupby(["TERMINAL_ID", "TX_TIME_DAYS"])["TX_FRAUD_SCENARIO"]
    kinds = compromised.agg(["max", "min", lambda s: (s == 2).any()]).set_axis(
        ["most", "least", "hit"], axis=1
    )
    assert kinds[kinds["hit"]]["least"].ge(2).all()


def test_a_third_of_a_leaked_cards_transactions_is_fraud_at_five_times_the_amount() -> None:
    # Three cards a day for 14 days: with three customers, every card is leaked all the time.
    transactions = simulate(3, 100, 500, radius=50, seed=1)
    stolen = transactions["TX_FRAUD_SCENARIO"] == 3
    assert stolen.mean() == pytest.approx(1 / 3, abs=4 * np.sqrt(2 / 9 / len(stolen)))
    by_customer = transactions.groupby(["CUSTOMER_ID", stolen])["TX_AMOUNT"].mean().unstack()
    assert (by_customer[True] / by_customer[False]).to_numpy() == pytest.approx(5, rel=0.15)


def test_leaked_cards_are_used_for_14_days(transactions: pd.DataFrame) -> None:
    settled = transactions[transactions["TX_TIME_DAYS"] >= 14]
    leaked = 1 - (1 - 3 / 300) ** 14  # share of the cards that leaked in the last 14 days
    assert (settled["TX_FRAUD_SCENARIO"] == 3).mean() == pytest.approx(leaked / 3, rel=0.2)


def test_terminals_are_compromised_for_28_days() -> None:
    # Two terminals a day: with two terminals, both are compromised from the first day on.
    assert simulate(50, 2, 5, radius=200)["TX_FRAUD_SCENARIO"].ge(2).all()
    days = simulate(200, 100, 60, radius=200, seed=5).query("TX_FRAUD_SCENARIO == 2")
    spans = days.groupby("TERMINAL_ID")["TX_TIME_DAYS"].agg(lambda s: s.max() - s.min() + 1)
    assert spans.max() >= 28
    share = [2 * min(day + 1, 28) / 100 for day in range(60)]
    hit = days.groupby("TX_TIME_DAYS")["TERMINAL_ID"].nunique() / 100
    assert (hit <= np.array(share) + 1e-9).all()  # fewer where one is struck twice
    assert hit.iloc[40:].mean() == pytest.approx(1 - (1 - 0.02) ** 28, abs=0.08)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),  # customer
            st.integers(0, 2),  # terminal
            st.integers(0, 100).map(lambda half_days: 12 * half_days),  # often on a window's edge
            st.integers(0, 30_000),  # cents
            st.integers(0, 1),  # fraud
        ),
        min_size=1,
        max_size=40,
    )
)
def test_windows_are_what_their_definition_says(
    rows: list[tuple[int, int, int, int, int]],
) -> None:
    rows.sort(key=lambda row: row[2])
    customer, terminal, hour, cents, fraud = (list(column) for column in zip(*rows, strict=True))
    table = add_features(
        pd.DataFrame(
            {
                "TX_DATETIME": pd.Timestamp(START) + pd.to_timedelta(hour, unit="h"),
                "CUSTOMER_ID": customer,
                "TERMINAL_ID": terminal,
                "TX_AMOUNT": np.array(cents) / 100,
                "TX_FRAUD": fraud,
            }
        )
    )
    for now, row in enumerate(table.to_dict("records")):
        for days in (1, 7, 30):
            paid = [
                cents[i] / 100
                for i in range(now + 1)
                if customer[i] == customer[now] and hour[now] - hour[i] < 24 * days
            ]
            known = [
                fraud[i]
                for i in range(now + 1)
                if terminal[i] == terminal[now] and 24 * 7 <= hour[now] - hour[i] < 24 * (7 + days)
            ]
            assert row[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"] == len(paid)
            assert row[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"] == pytest.approx(np.mean(paid))
            assert row[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] == len(known)
            risk = np.mean(known) if known else 0
            assert row[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] == pytest.approx(risk)


@pytest.mark.parametrize(
    ("when", "weekend", "night"),
    [
        ("2018-04-06 23:59:59", 0, 0),  # Friday
        ("2018-04-07 00:00:00", 1, 1),  # Saturday
        ("2018-04-08 06:59:59", 1, 1),
        ("2018-04-09 07:00:00", 0, 0),  # Monday
    ],
)
def test_weekend_and_night_follow_the_calendar(when: str, weekend: int, night: int) -> None:
    row = add_features(
        pd.DataFrame(
            {
                "TX_DATETIME": [pd.Timestamp(when)],
                "CUSTOMER_ID": [0],
                "TERMINAL_ID": [0],
                "TX_AMOUNT": [1.0],
                "TX_FRAUD": [0],
            }
        )
    )
    assert row["TX_DURING_WEEKEND"].tolist() == [weekend]
    assert row["TX_DURING_NIGHT"].tolist() == [night]


def test_every_row_becomes_a_request_that_the_schema_accepts(transactions: pd.DataFrame) -> None:
    accepted = [Transaction.model_validate(body) for body in bodies(transactions)]
    rows = to_rows(accepted)
    assert np.array_equal(rows, transactions[[COLUMNS[f] for f in FEATURES]].to_numpy(np.float64))
