"""The two services that the documents' examples import, as their reader would have them."""

import bentoml
from pydantic import BaseModel


class Transaction(BaseModel):
    amount: float


class Decision(BaseModel):
    fraud_probability: float


@bentoml.service
class FraudV1:
    @bentoml.api
    def predict(self, transaction: Transaction, /) -> Decision:
        return Decision(fraud_probability=min(transaction.amount / 1000, 1))


@bentoml.service
class FraudV2:
    @bentoml.api
    def predict(self, transaction: Transaction, /) -> Decision:
        return Decision(fraud_probability=min(transaction.amount / 500, 1))
