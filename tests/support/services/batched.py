"""A candidate that scores gathered shadows in one call, wherever it is placed."""

import bentoml

from flags import Reading, migrate
from tests.support.services.batched_candidate import Claim, Many, Opinion
from tests.support.services.placed import placed


@bentoml.service(name="batched_v1", traffic={"timeout": 60})
class Single:
    @bentoml.api
    def judge(self, claim: Claim, /) -> Opinion:
        return Opinion(score=claim.amount / 100, by="v1")

    @bentoml.api
    def rate(self, amount: float, country: str) -> float:
        return amount / 100 + len(country)

    @bentoml.api(batchable=True)
    def halve(self, amounts: list[float]) -> list[float]:
        return [amount / 2 for amount in amounts]


Claims = migrate(
    primary=Single,
    **placed(Many, "embedded"),
    flag="claims-v2",
    score="score",
    threshold=0.5,
    apis={
        "rate": Reading.of({"rate": lambda answer: answer}),
        "halve": Reading.of({"sum": sum}),
    },
    shadow_batch={"judge": "judge_many", "rate": "rate_many", "halve": "halve"},
    name="Claims",
)
