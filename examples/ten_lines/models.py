"""Two fraud models by hand, so that there is nothing to train: logistic scores on a few fields."""

from math import exp, log1p

import bentoml
from pydantic import BaseModel, NonNegativeFloat


class Transaction(BaseModel):
    """A card payment."""

    amount: NonNegativeFloat
    usual_amount: NonNegativeFloat
    """The median of the card's last payments, in the same currency."""
    foreign: bool
    card_present: bool


class Decision(BaseModel):
    """What both models answer."""

    fraud_probability: float


def logistic(evidence: float) -> Decision:
    """Turn the sum of the evidence, in log-odds, into a probability of four digits."""
    return Decision(fraud_probability=round(1 / (1 + exp(-evidence)), 4))


@bentoml.service
class FraudV1:
    """Score by the amount alone, and by where and how the card was used."""

    @bentoml.api
    def predict(self, transaction: Transaction, /) -> Decision:
        """Return the probability that the payment is fraud."""
        evidence = 0.6 * log1p(transaction.amount) - 4.5
        evidence += 1.1 * transaction.foreign + 0.9 * (not transaction.card_present)
        return logistic(evidence)


@bentoml.service
class FraudV2:
    """Score by how unusual the amount is for this card; otherwise as FraudV1."""

    @bentoml.api
    def predict(self, transaction: Transaction, /) -> Decision:
        """Return the probability that the payment is fraud."""
        unusual = log1p(transaction.amount) - log1p(transaction.usual_amount)
        evidence = 1.4 * unusual - 2.2
        evidence += 1.1 * transaction.foreign + 0.9 * (not transaction.card_present)
        return logistic(evidence)
