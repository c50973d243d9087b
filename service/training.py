"""The training and evaluation of both fraud models, which it puts into BentoML's model store.

Run it as `python -m service.training`: it simulates the transactions unless it is given a table.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import bentoml
import numpy as np
import pandas as pd
import sklearn
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from comparison.evidence.drift import REFERENCE, FeatureReference
from service.model import V1, V2, Classifier
from service.schema import COLUMNS, FEATURES
from service.simulator import simulate

ALARM_QUANTILE: Final = 0.995
"""v1's threshold is this quantile of its scores: reviewers get one transaction in 200."""

RECORDED: Final = ("tx_amount",)
"""Features that `service.app` records; the models' metadata has the distribution in training."""


class Days(NamedTuple):
    """A span of TX_TIME_DAYS, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def of(self, transactions: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of these days."""
        return transactions[transactions["TX_TIME_DAYS"].between(self.first, self.last)]


TRAINING: Final = Days(30, 80)
EVALUATION: Final = Days(88, 102)
"""Seven days after training: the labels of days 81 to 87 are not known yet at that time."""
PRODUCTION: Final = Days(108, 121)


class TransactionsUnusableError(ValueError):
    """The file is not a table, lacks columns, or has a span of days without fraud."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A model and its figures on the evaluation days."""

    classifier: Classifier
    average_precision: float
    alarm_rate: float
    """Share of transactions that reach v1's threshold."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Both models, and the one threshold at which both are deployed."""

    v1: Evaluated
    v2: Evaluated
    threshold: float
    training_rows: int
    evaluation_rows: int
    references: Mapping[str, FeatureReference]
    """Distribution on the training days, by feature."""


def read(path: Path) -> pd.DataFrame:
    """Return the table in a Parquet file. Raises TransactionsUnusableError."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are kinds of these
        raise TransactionsUnusableError(f"{path} cannot be read as Parquet: {error}") from error


def production(transactions: pd.DataFrame) -> pd.DataFrame:
    """Return the transactions of the production days, which are later than all evaluation days."""
    return PRODUCTION.of(transactions)


def feature_rows(transactions: pd.DataFrame) -> NDArray[np.float64]:
    """Return the models' input, float64, shape (n, 15), order of `service.schema.FEATURES`."""
    return transactions[list(COLUMNS.values())].to_numpy(np.float64)


def train(transactions: pd.DataFrame) -> Trained:
    """Fit both models on the training days and evaluate them on the evaluation days.

    v2 gets v1's threshold as well: the mistake that this project exists to catch. Raises
    TransactionsUnusableError.
    """
    rows, fraud = _labelled(transactions, TRAINING)
    unseen, unseen_fraud = _labelled(transactions, EVALUATION)

    # Threads save a second on idle cores; on busy ones they wait for each other and cost a minute.
    with threadpool_limits(limits=1):
        v1 = make_pipeline(StandardScaler(), LogisticRegression())
        v1.fit(rows, fraud)
        v2 = HistGradientBoostingClassifier(class_weight="balanced", random_state=0)
        v2.fit(rows, fraud)
        scores = v1.predict_proba(unseen)[:, 1], v2.predict_proba(unseen)[:, 1]
    threshold = float(np.quantile(scores[0], ALARM_QUANTILE))

    v1_evaluated, v2_evaluated = (
        Evaluated(
            classifier=classifier,
            average_precision=float(average_precision_score(unseen_fraud, score)),
            alarm_rate=float((score >= threshold).mean()),
        )
        for classifier, score in zip((v1, v2), scores, strict=True)
    )
    references = {
        feature: FeatureReference.of(rows[:, FEATURES.index(feature)]) for feature in RECORDED
    }
    return Trained(v1_evaluated, v2_evaluated, threshold, len(rows), len(unseen), references)


def _labelled(
    transactions: pd.DataFrame, days: Days
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    missing = {"TX_TIME_DAYS", "TX_FRAUD", *COLUMNS.values()} - set(transactions.columns)
    if missing:
        raise TransactionsUnusableError(f"columns missing: {', '.join(sorted(missing))}")
    chosen = days.of(transactions)
    fraud = chosen["TX_FRAUD"].to_numpy(np.int64)
    if not 0 < fraud.sum() < len(fraud):
        raise TransactionsUnusableError(
            f"days {days} need fraud and genuine transactions: "
            f"{fraud.sum():,} of {len(fraud):,} are fraud"
        )
    return feature_rows(chosen), fraud


def save(trained: Trained, source: str) -> tuple[bentoml.Tag, bentoml.Tag]:
    """Put both models into BentoML's store (BENTOML_HOME) and return their tags, v1's first.

    `source` names the source of the transactions. The metadata of each model has its alarm
    threshold, its figures and their data, and the reference of the recorded features.
    """
    references = {name: reference.as_plain() for name, reference in trained.references.items()}
    tags = []
    for name, evaluated in ((V1, trained.v1), (V2, trained.v2)):
        stored = bentoml.sklearn.save_model(
            name,
            evaluated.classifier,
            signatures={"predict_proba": {"batchable": True, "batch_dim": 0}},
            labels={"task": "fraud-detection"},
            metadata={
                "threshold": trained.threshold,
                "average_precision": evaluated.average_precision,
                "alarm_rate": evaluated.alarm_rate,
                "features": list(FEATURES),
                REFERENCE: references,
                "training_days": str(TRAINING),
                "training_rows": trained.training_rows,
                "evaluation_days": str(EVALUATION),
                "evaluation_rows": trained.evaluation_rows,
                "source": source,
                "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
            },
        )
        tags.append(stored.tag)
    return tags[0], tags[1]


def summary(trained: Trained, tags: tuple[bentoml.Tag, bentoml.Tag]) -> Table:
    """Return the figures of both models on the evaluation days, as a table for the terminal."""
    table = Table(
        title=f"{trained.evaluation_rows:,} transactions of days {EVALUATION}, not seen in training"
    )
    table.add_column("model", no_wrap=True)
    for heading in ("average precision", f"alarms at {trained.threshold:.4f}", "against v1"):
        table.add_column(heading, justify="right")
    for tag, evaluated in zip(tags, (trained.v1, trained.v2), strict=True):
        table.add_row(
            str(tag),
            f"{evaluated.average_precision:.3f}",
            f"{evaluated.alarm_rate:.2%}",
            f"{evaluated.alarm_rate / trained.v1.alarm_rate:.2f} x",
        )
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, save and report; return the exit code, 2 if the table is unusable."""
    parser = argparse.ArgumentParser(
        prog="python -m service.training",
        description="Train fraud-v1 and fraud-v2 and put them into BentoML's model store.",
    )
    parser.add_argument(
        "--transactions", type=Path, metavar="FILE", help="Parquet table; simulated if not given"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the simulation (default: 0)")
    options = parser.parse_args(arguments)

    console, began = Console(), time.perf_counter()
    try:
        if options.transactions:
            source, transactions = options.transactions.name, read(options.transactions)
        else:
            source, transactions = f"simulated, seed {options.seed}", simulate(seed=options.seed)
        trained = train(transactions)
    except TransactionsUnusableError as error:
        Console(stderr=True).print(f"cannot train: {error}", markup=False, soft_wrap=True)
        return 2
    console.print(summary(trained, save(trained, source)))
    console.print(
        f"trained on {trained.training_rows:,} transactions of days {TRAINING} ({source}) "
        f"in {time.perf_counter() - began:.0f} s",
        highlight=False,
        soft_wrap=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
