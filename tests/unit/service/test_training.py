import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from statsmodels.stats.proportion import proportion_confint

from comparison.evidence.drift import References
from service.demo import PhaseSizes
from service.replay import bodies
from service.simulator import simulate
from service.training import (
    EVALUATION,
    Trained,
    TransactionsUnusableError,
    feature_rows,
    main,
    production,
    train,
)
from tests.support.paths import ROOT

DECIDE = """
import json, sys
from service.runners import FraudV1, FraudV2
from service.schema import Transaction

transactions = [Transaction(**body) for body in json.load(sys.stdin)]
services = {"v1": FraudV1(), "v2": FraudV2()}
print(json.dumps({
    name: {
        "metadata": service.stored.info.metadata,
        "decisions": [service.predict(each).model_dump() for each in transactions],
    }
    for name, service in services.items()
}))
"""


@pytest.fixture(scope="module")
def transactions() -> pd.DataFrame:
    return simulate(800, 1_600, seed=7)


@pytest.fixture(scope="module")
def trained(transactions: pd.DataFrame) -> Trained:
    return train(transactions)


def scores(trained: Trained, transactions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    rows = feature_rows(transactions)
    return tuple(side.classifier.predict_proba(rows)[:, 1] for side in (trained.v1, trained.v2))


def test_the_figures_are_those_of_the_evaluation_days(
    trained: Trained, transactions: pd.DataFrame
) -> None:
    unseen = transactions[transactions["TX_TIME_DAYS"].isin(range(88, 103))]
    v1, v2 = scores(trained, unseen)
    assert trained.evaluation_rows == len(unseen)
    assert trained.threshold == np.quantile(v1, 0.995)
    assert trained.v1.alarm_rate == pytest.approx(0.005, abs=1 / len(unseen))
    assert trained.v2.alarm_rate == (v2 >= trained.threshold).mean()
    for side, score in ((trained.v1, v1), (trained.v2, v2)):
        expected = average_precision_score(unseen["TX_FRAUD"], score)
        assert side.average_precision == pytest.approx(expected)


def test_v2_wins_the_holdout_and_floods_the_reviewers_in_production(
    trained: Trained, transactions: pd.DataFrame
) -> None:
    """The failure that the project exists to stop: better on the holdout, alarms multiplied."""
    assert trained.v2.average_precision > trained.v1.average_precision + 0.02
    v1, v2 = scores(trained, production(transactions))
    assert (v2 >= trained.threshold).mean() > 1.5 * (v1 >= trained.threshold).mean()


def test_the_reference_holds_the_training_days(
    trained: Trained, transactions: pd.DataFrame
) -> None:
    amounts = transactions.loc[transactions["TX_TIME_DAYS"].between(30, 80), "TX_AMOUNT"]
    reference = trained.references["tx_amount"]
    assert sum(reference.counts) == trained.training_rows == len(amounts)
    below = sum(reference.counts[: len(reference.edges) // 2 + 1])
    middle = reference.edges[len(reference.edges) // 2]
    assert below == (amounts < middle).sum()


def test_training_again_gives_the_same_models(trained: Trained, transactions: pd.DataFrame) -> None:
    again = train(transactions)
    assert again.threshold == trained.threshold
    sample = production(transactions).head(500)
    for first, second in zip(scores(trained, sample), scores(again, sample), strict=True):
        assert np.array_equal(first, second)


def test_production_is_days_108_to_121(transactions: pd.DataFrame) -> None:
    assert set(production(transactions)["TX_TIME_DAYS"]) == set(range(108, 122))


def test_a_table_without_a_feature_is_refused_by_name(transactions: pd.DataFrame) -> None:
    with pytest.raises(TransactionsUnusableError, match="columns missing: TX_AMOUNT"):
        train(transactions.drop(columns="TX_AMOUNT"))


def test_a_table_that_ends_too_early_is_refused(transactions: pd.DataFrame) -> None:
    early = transactions[transactions["TX_TIME_DAYS"] < EVALUATION.first]
    with pytest.raises(TransactionsUnusableError, match=r"days 88-102 .* 0 of 0 are fraud"):
        train(early)


def test_a_table_without_fraud_is_refused(transactions: pd.DataFrame) -> None:
    with pytest.raises(TransactionsUnusableError, match=r"days 30-80 .* 0 of [0-9,]+ are fraud"):
        train(transactions.assign(TX_FRAUD=0))


@pytest.mark.parametrize("content", [None, b"not a table"])
def test_a_file_that_is_not_a_table_is_a_clear_error(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "transactions.parquet"
    if content:
        path.write_bytes(content)
    assert main(["--transactions", str(path)]) == 2
    assert "transactions.parquet cannot be read as Parquet" in capsys.readouterr().err


def test_the_command_stores_both_models_and_the_services_decide_as_they_do(
    trained: Trained, transactions: pd.DataFrame, tmp_path: Path
) -> None:
    """From table to decision through the real store: equal to `predict_proba` of the table."""
    table = tmp_path / "table.parquet"
    transactions.to_parquet(table)
    # BentoML fixes its store when it is imported, so the store of a test needs a fresh process.
    environ = os.environ | {"BENTOML_HOME": str(tmp_path / "store"), "BENTOML_DO_NOT_TRACK": "true"}

    def python(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            input=stdin,
            env=environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    report = python("-m", "service.training", "--transactions", str(table))
    printed = tmp_path / "model.json"
    printed.write_text(python("-m", "bentoml", "models", "get", "fraud-v2:latest", "-o", "json"))
    references = References.read(printed)
    assert references.model.startswith("fraud-v2:")
    assert references.features == trained.references
    for figure in (
        f"{trained.v1.average_precision:.3f}",
        f"{trained.v2.average_precision:.3f}",
        f"alarms at {trained.threshold:.4f}",
        f"{trained.v2.alarm_rate / trained.v1.alarm_rate:.2f} x",
        f"{trained.training_rows:,} transactions of days 30-80 (table.parquet)",
    ):
        assert figure in report

    sample = production(transactions).head(400)
    answers = json.loads(python("-c", DECIDE, stdin=json.dumps(bodies(sample))))
    for name, evaluated, expected in zip(
        ("v1", "v2"), (trained.v1, trained.v2), scores(trained, sample), strict=True
    ):
        metadata, decisions = answers[name]["metadata"], answers[name]["decisions"]
        assert metadata["threshold"] == trained.threshold
        assert metadata["average_precision"] == pytest.approx(evaluated.average_precision)
        assert metadata["training_rows"] == trained.training_rows
        probability = np.array([d["fraud_probability"] for d in decisions])
        assert np.abs(probability - expected).max() < 1e-9
        assert {d["threshold"] for d in decisions} == {trained.threshold}
        assert [d["alarm"] for d in decisions] == (expected >= trained.threshold).tolist()


@pytest.mark.slow
def test_the_readme_gives_the_ratios_of_the_holdout_and_of_production() -> None:
    """Of the transactions of `make demo`, where it says why the demo's own figure differs."""
    transactions = simulate(seed=0)
    trained, later = train(transactions), production(transactions)
    holdout = trained.v2.alarm_rate / trained.v1.alarm_rate
    v1, v2 = ((each >= trained.threshold).sum() for each in scores(trained, later))
    demo = later.sample(PhaseSizes().total, random_state=0)
    replayed = [(each >= trained.threshold).sum() for each in scores(trained, demo)]
    told = (ROOT / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    assert f"on the holdout, v2 fires {holdout:.2f} times as often" in told
    assert f"{v2 / v1:.2f} times over all of these days" in told
    assert f"of their {len(later):,} transactions" in told
    assert f"in which v1 fires {replayed[0]} times" in told
    assert f"alarm ratio {replayed[1] / replayed[0]:.2f}, after rollback" in told
    for side, alarms in zip(("primary", "candidate"), replayed, strict=True):
        low, high = proportion_confint(alarms, len(demo), method="wilson")
        row = f"{side} {trained.threshold:.6f} {alarms} {alarms / len(demo):.2%} {low:.2%}"
        assert f"{row} to {high:.2%}".replace("%", " %").replace(" % to", " to") in " ".join(
            told.split()
        )
    assert f"AP {trained.v1.average_precision:.2f} to {trained.v2.average_precision:.2f}" in told
