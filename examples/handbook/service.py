"""Replace the handbook's decision tree by its random forest."""

import bentoml
from bentoml.models import BentoModel

from examples.handbook.training import FOREST, TREE
from flags import migrate
from service.app import decide
from service.model import FraudModel
from service.schema import FraudDecision, Transaction


@bentoml.service
class TreeV1:
    """Detect fraud with a decision tree of depth two."""

    model = BentoModel(f"{TREE}:latest")

    def __init__(self) -> None:
        self.fraud = FraudModel.load(self.model)

    @bentoml.api
    def predict(self, transaction: Transaction, /) -> FraudDecision:
        """Decide on one card transaction."""
        return self.fraud.decide(transaction)


@bentoml.service
class ForestV2:
    """Detect fraud with a random forest of a hundred trees."""

    model = BentoModel(f"{FOREST}:latest")

    def __init__(self) -> None:
        self.fraud = FraudModel.load(self.model)

    @bentoml.api
    def predict(self, transaction: Transaction, /) -> FraudDecision:
        """Decide on one card transaction."""
        return self.fraud.decide(transaction)


Detector = migrate(
    primary=TreeV1,
    candidate=ForestV2,
    flag="handbook-v2",
    score="fraud_probability",
    threshold="threshold",
    decide=decide,
    placement="embedded",
    name="Detector",
)
