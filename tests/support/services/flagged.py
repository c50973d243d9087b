"""Two cheap models behind a flag that the environment names; the candidate's score is its input."""

import os
from collections.abc import Mapping

import bentoml
from pydantic import BaseModel

from flags import migrate

THRESHOLD = 0.5


class Opinion(BaseModel):
    score: float
    threshold: float = THRESHOLD
    alarm: bool
    pid: int


def opinion(score: float) -> Opinion:
    return Opinion(score=score, alarm=score >= THRESHOLD, pid=os.getpid())


@bentoml.service(traffic={"timeout": 20})
class ScoresV1:
    @bentoml.api
    def judge(self, amount: float) -> Opinion:
        return opinion(amount / 2)


@bentoml.service(traffic={"timeout": 20})
class ScoresV2:
    @bentoml.api
    def judge(self, amount: float) -> Opinion:
        return opinion(amount)


def decide(answer: Opinion, thresholds: Mapping[str, float]) -> Opinion:
    threshold = thresholds["score"]
    alarm = answer.score >= threshold
    return answer.model_copy(update={"threshold": threshold, "alarm": alarm})


Scores = migrate(
    primary=ScoresV1,
    candidate=ScoresV2,
    flag=os.environ.get("FLAG", "scores-v2"),
    score="score",
    threshold="threshold",
    decide=decide,
    placement="embedded",
    workers=int(os.environ.get("API_WORKERS", "2")),
    name="Scores",
)
