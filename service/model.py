"""A fraud model as it is deployed: its classifier and its alarm threshold."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self, cast

import bentoml
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from service.schema import FraudDecision, Transaction, to_rows

V1: Final = "fraud-v1"
V2: Final = "fraud-v2"
"""Names of the models in BentoML's store."""

_limited: Final = threading.local()


class Classifier(Protocol):
    """A fraud model; it scores rows of shape (n, 15) as probabilities of shape (n, 2)."""

    def predict_proba(  # noqa: D102 - scikit-learn's own
        self, rows: NDArray[np.float64], /
    ) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class FraudModel:
    """A classifier from the store, with the threshold at which it is deployed."""

    classifier: Classifier
    threshold: float

    @classmethod
    def load(cls, stored: bentoml.Model) -> Self:
        """Load the classifier, a pickle of the trusted store, and its threshold."""
        classifier = cast(Classifier, bentoml.sklearn.load_model(stored))
        return cls(
            classifier=classifier,
            threshold=cast(float, stored.info.metadata["threshold"]),
        )

    def decide(self, transaction: Transaction) -> FraudDecision:
        """Return the probability of fraud, and an alarm where it reaches the threshold."""
        return self.decide_many([transaction])[0]

    def decide_many(self, transactions: Sequence[Transaction]) -> list[FraudDecision]:
        """Return the decision on each transaction."""
        _one_openmp_thread()
        probabilities = self.classifier.predict_proba(to_rows(transactions))[:, 1].tolist()
        return [
            FraudDecision(
                fraud_probability=probability,
                alarm=probability >= self.threshold,
                threshold=self.threshold,
            )
            for probability in probabilities
        ]


def _one_openmp_thread() -> None:
    """Limit OpenMP to one thread in the calling thread, once; OpenMP keeps the limit.

    For a single row, further threads of gradient boosting only waste CPU.
    """
    if not hasattr(_limited, "openmp"):
        _limited.openmp = threadpool_limits(limits=1, user_api="openmp")
