"""Each fraud model as a BentoML service of its own: `FraudV1` and `FraudV2`, with one API.

Both read model and alarm threshold from the model store, where `service.training` puts them.
"""

from typing import Final

import bentoml
from bentoml.models import BentoModel

from service.model import V1, V2, FraudModel
from service.schema import FraudDecision, Transaction

RESOURCES: Final = {"cpu": "1"}
TRAFFIC: Final = {"timeout": 10}
"""Seconds; a decision takes about one millisecond."""


@bentoml.service(resources=RESOURCES, traffic=TRAFFIC)
class FraudV1:
    """Detect fraud with v1: standardised logistic regression."""

    stored = BentoModel(f"{V1}:latest")

    def __init__(self) -> None:
        self.model = FraudModel.load(self.stored)

    @bentoml.api
    def predict(self, transaction: Transaction, /) -> FraudDecision:
        """Decide on one card transaction: the probability that it is fraud, and whether it reaches
        the alarm threshold stored with the model.
        """
        return self.model.decide(transaction)


@bentoml.service(resources=RESOURCES, traffic=TRAFFIC)
class FraudV2:
    """Detect fraud with v2: gradient boosting with balanced class weights, at v1's threshold."""

    stored = BentoModel(f"{V2}:latest")

    def __init__(self) -> None:
        self.model = FraudModel.load(self.stored)

    @bentoml.api
    def predict(self, transaction: Transaction, /) -> FraudDecision:
        """Decide on one card transaction: the probability that it is fraud, and whether it reaches
        the alarm threshold stored with the model.
        """
        return self.model.decide(transaction)

    def predict_many(self, transactions: list[Transaction]) -> list[FraudDecision]:
        """Decide on many transactions in one call, which takes a fraction of the time of many."""
        return self.model.decide_many(transactions)
