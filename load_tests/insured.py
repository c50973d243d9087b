"""A primary of 20 ms and a candidate of 20 ms, which fails where it is told to."""

import time

import bentoml
from pydantic import BaseModel

from flags import migrate

EACH = 0.02
"""Seconds of either model."""


class Answer(BaseModel):
    """What both models say."""

    score: float


@bentoml.service(name="insuring", traffic={"timeout": 60}, threads=4)
class Insuring:
    """The model of yesterday."""

    @bentoml.api
    def predict(self, amount: float) -> Answer:
        """Answer after a while."""
        time.sleep(EACH)
        return Answer(score=amount / 1_000)


@bentoml.service(name="insured", traffic={"timeout": 60}, threads=4)
class Insured:
    """The model that has replaced it."""

    @bentoml.api
    def predict(self, amount: float) -> Answer:
        """Answer, or fail below zero, after a while."""
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
