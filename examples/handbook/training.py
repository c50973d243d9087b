"""Train the Fraud Detection Handbook's decision tree and random forest, on its calendar.

The split is that of Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine Learning for
Credit Card Fraud Detection" (2022), chapter 3, "Baseline fraud detection system": a week to learn
from, a week until its fraud is known, a week to evaluate. The transactions are simulated by its
rules (`service.simulator`), not its own: so the figures are similar, and not equal.
"""

from dataclasses import dataclass
from typing import Final

import bentoml
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from service.model import Classifier
from service.simulator import simulate
from service.training import feature_rows

WEEK: Final = 7
TRAINING: Final = 115
"""First day of the week to learn from: 25 July 2018, in days since 1 April."""
HOLDOUT: Final = TRAINING + 2 * WEEK
PRODUCTION: Final = HOLDOUT + WEEK
"""First day after the holdout: the migration begins."""
WEEKS: Final = 6
"""Weeks of production."""
TREE: Final = "handbook-tree"
FOREST: Final = "handbook-forest"


@dataclass(frozen=True, slots=True)
class Figures:
    """Hold how one model does on a week."""

    average_precision: float
    alarms: int
    """Transactions whose score reaches v1's threshold."""


@dataclass(frozen=True, slots=True)
class Models:
    """Hold the tree (v1), the forest (v2), and the threshold that v1 is deployed with."""

    tree: Classifier
    forest: Classifier
    threshold: float
    """The tree has four scores; each but the lowest is an alarm."""

    def scores(self, transactions: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the scores of the tree and of the forest."""
        rows = feature_rows(transactions)
        return self.tree.predict_proba(rows)[:, 1], self.forest.predict_proba(rows)[:, 1]

    def figures(self, transactions: pd.DataFrame) -> tuple[Figures, Figures]:
        """Return how both do on transactions, at v1's threshold."""
        fraud = transactions["TX_FRAUD"]
        tree, forest = (
            Figures(
                float(average_precision_score(fraud, each)), int((each >= self.threshold).sum())
            )
            for each in self.scores(transactions)
        )
        return tree, forest

    def save(self) -> None:
        """Put both into BentoML's store, at the same threshold."""
        for name, model in ((TREE, self.tree), (FOREST, self.forest)):
            bentoml.sklearn.save_model(name, model, metadata={"threshold": self.threshold})


def transactions(seed: int = 0) -> pd.DataFrame:
    """Simulate the handbook's customers and terminals until the end of production."""
    return simulate(n_days=PRODUCTION + WEEKS * WEEK, seed=seed)


def week(table: pd.DataFrame, first: int, training: int = TRAINING) -> pd.DataFrame:
    """Return a week without the cards whose fraud is known by then, as the handbook leaves out.

    Fraud is known a week late; cards of the week to learn from are out from the beginning.
    """
    day, fraud = table["TX_TIME_DAYS"], table["TX_FRAUD"] == 1
    known_on = table.loc[fraud & (day >= training)].groupby("CUSTOMER_ID")["TX_TIME_DAYS"].min()
    known_on = known_on.clip(lower=training + WEEK - 1) + WEEK + 1
    days = table[day.between(first, first + WEEK - 1)]
    return days[~(days["CUSTOMER_ID"].map(known_on) <= days["TX_TIME_DAYS"])]


def train(table: pd.DataFrame, training: int = TRAINING) -> Models:
    """Fit both models as the handbook does: scikit-learn's defaults, the tree two levels deep."""
    days = table[table["TX_TIME_DAYS"].between(training, training + WEEK - 1)]
    rows, fraud = feature_rows(days), days["TX_FRAUD"].to_numpy()
    with threadpool_limits(limits=1):
        tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(rows, fraud)
        forest = RandomForestClassifier(random_state=0).fit(rows, fraud)
    _, alarm, *_ = np.unique(tree.predict_proba(rows)[:, 1])
    return Models(tree, forest, float(alarm))
