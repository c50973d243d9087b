"""An expensive candidate: 50 ms for a request and 60 ms for a batch of 32, like a model on a GPU.

It writes the seconds that it was busy to a file. It sleeps instead of computing, so that the
measurement fits on a small machine. Its single thread runs one call at a time.
"""

import os
import time
from pathlib import Path

import bentoml
from pydantic import BaseModel

from flags import migrate

SINGLE, FURTHER = 0.05, 0.01 / 31
"""Seconds of a call with one input, and of each further input in it."""

BUSY = Path(os.environ.get("BUSY", "busy"))


class Answer(BaseModel):
    """The answer of both models."""

    score: float


def work(inputs: int) -> None:
    """Sleep for the duration of a call, and write it to the file BUSY."""
    seconds = SINGLE + FURTHER * (inputs - 1)
    time.sleep(seconds)
    with BUSY.open("a") as file:
        file.write(f"{inputs} {seconds}\n")


@bentoml.service(name="cheap", traffic={"timeout": 60})
class Cheap:
    """The primary."""

    @bentoml.api
    def predict(self, tx_amount: float) -> Answer:
        """Answer at once."""
        return Answer(score=tx_amount / 1_000)


@bentoml.service(name="dear", traffic={"timeout": 60})
class Dear:
    """The candidate."""

    @bentoml.api
    def predict(self, tx_amount: float) -> Answer:
        """Answer after 50 ms."""
        work(1)
        return Answer(score=tx_amount / 1_000)

    def predict_many(self, amounts: list[float]) -> list[Answer]:
        """Answer after 60 ms for 32 inputs."""
        work(len(amounts))
        return [Answer(score=amount / 1_000) for amount in amounts]


Pair = migrate(
    primary=Cheap,
    candidate=Dear,
    flag="dear",
    score="score",
    threshold=0.5,
    shadow_batch={"predict": "predict_many"},
    placement="isolated",
    name="Pair",
)
