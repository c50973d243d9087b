"""A primary and a candidate that take 20 ms each; the candidate fails for negative amounts."""

import time

import bentoml
from pydantic import BaseModel

from flags import migrate

EACH = 0.02
"""Seconds of a call of either model."""


class Answer(BaseModel):
    """The answer of both models."""

    score: float


@bentoml.service(name="insuring", traffic={"timeout": 60}, threads=4)
class Insuring:
    """The primary."""

    @bentoml.api
    def predict(self, amount: float) -> Answer:
        """Answer after 20 ms."""
        time.sleep(EACH)
        return Answer(score=amount / 1_000)


@bentoml.service(name="insured", traffic={"timeout": 60}, threads=4)
class Insured:
    """The candidate."""

    @bentoml.api
    def predict(self, amount: float) -> Answer:
        """Answer after 20 ms, or fail if the amount is negative."""
        time.sleep(EACH)
        if amount < 0:
            raise ValueError("told to")
        return Answer(score=amount / 1_000)


Pair = migrate(
    primary=Insuring,
    candidate=Insured,
    flag="insured",
    score="score",
    threshold=0.5,
    placement="embedded",
    name="InsuredPair",
)
