"""Hold the simulator's features and the training to the handbook's own table of transactions."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from examples.handbook import training as handbook
from service.schema import COLUMNS
from service.simulator import add_features, simulate
from service.training import feature_rows, production, train
from tests.support.markdown import DOCS


@pytest.fixture(scope="module")
def published(transactions_path: Path) -> pd.DataFrame:
    return pd.read_parquet(transactions_path)


def test_our_features_are_the_published_ones(published: pd.DataFrame) -> None:
    made = set(COLUMNS.values()) - {"TX_AMOUNT"}
    ours = add_features(published.drop(columns=list(made)))
    # Of two payments of a customer in the same second, the table does not say which came first.
    tied = published.duplicated(["CUSTOMER_ID", "TX_DATETIME"], keep=False)
    assert tied.sum() < 50
    for column in sorted(made):
        rows = ~tied if column.startswith("CUSTOMER") else slice(None)
        np.testing.assert_allclose(
            ours[column].to_numpy(np.float64)[rows],
            published[column].to_numpy(np.float64)[rows],
            rtol=1e-5,
            atol=1e-6,
            err_msg=column,
        )


def test_the_simulated_table_looks_like_the_published_one(published: pd.DataFrame) -> None:
    simulated = simulate()
    assert set(simulated.columns) == set(published.columns)
    assert len(simulated) == pytest.approx(len(published), rel=0.05)
    for column, within in (("TX_FRAUD", 0.15), ("TX_AMOUNT", 0.03), ("TX_DURING_NIGHT", 0.03)):
        assert simulated[column].mean() == pytest.approx(published[column].mean(), rel=within)
    scenarios = simulated["TX_FRAUD_SCENARIO"].value_counts(normalize=True)
    expected = published["TX_FRAUD_SCENARIO"].value_counts(normalize=True)
    assert (scenarios / expected).between(0.75, 1.25).all()


def test_training_on_the_published_table_gives_the_known_figures(published: pd.DataFrame) -> None:
    trained = train(published)
    assert trained.threshold == pytest.approx(0.5401, abs=5e-4)
    assert trained.v1.average_precision == pytest.approx(0.668, abs=2e-3)
    assert trained.v2.average_precision == pytest.approx(0.755, abs=5e-3)
    rows = feature_rows(production(published))
    alarms = [
        (side.classifier.predict_proba(rows)[:, 1] >= trained.threshold).mean()
        for side in (trained.v1, trained.v2)
    ]
    assert alarms[1] / alarms[0] == pytest.approx(3.72, abs=0.1)


JULY = 101
"""First day of the week to learn from, so that the week to evaluate ends with July."""


@pytest.mark.slow
def test_the_handbooks_models_on_its_july_are_what_the_page_says(published: pd.DataFrame) -> None:
    evaluated = handbook.week(published, JULY + 2 * handbook.WEEK, JULY)
    tree, forest = handbook.train(published, JULY).figures(evaluated)
    page = (DOCS / "handbook.md").read_text(encoding="utf-8")
    said = [float(each) for each in re.findall(r"\d+\.\d+", page.rpartition("weeks of July")[2])]
    assert said == pytest.approx(
        [tree.average_precision, forest.average_precision, forest.alarms / tree.alarms], abs=0.01
    )
