"""Two services with every kind of API that can be migrated, and one service made of both."""

import os
import time
from typing import Annotated

import bentoml
import numpy as np
import pandas as pd
from bentoml.exceptions import InvalidArgument
from bentoml.validators import Shape
from pydantic import BaseModel, ConfigDict, Field

from flags import Reading, migrate
from tests.support.services.placed import placed

Vector = Annotated[np.ndarray, Shape((3,))]


class Claim(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    amount: float = Field(description="Amount claimed.")
    tags: list[str] = []


class Opinion(BaseModel):
    score: float
    by: str


@bentoml.service(traffic={"timeout": 20})
class ClaimsV1:
    """Judge claims."""

    name = "v1"
    factor = 1.0

    @bentoml.api
    def judge(self, claim: Claim, /) -> Opinion:
        """Judge one claim."""
        if claim.amount == 13:
            raise InvalidArgument("13 is refused")
        if claim.amount == 14:
            raise ValueError("a secret of the model")
        claim.tags.append(self.name)  # a model that changes its input
        return Opinion(score=self.factor * claim.amount / 100, by=",".join(claim.tags))

    @bentoml.api(route="/judge/slowly")
    async def judge_slowly(self, claim: Claim, weight: int = 2) -> Opinion:
        """Judge one claim, asynchronously."""
        return Opinion(score=weight * self.factor * claim.amount / 100, by=self.name)

    @bentoml.api
    def scale(self, vector: Vector) -> np.ndarray:
        """Scale a vector."""
        return vector * 2 * self.factor

    @bentoml.api
    def annotate(self, claims: pd.DataFrame) -> pd.DataFrame:
        """Add a column to a table."""
        claims["by"] = self.name
        return claims

    @bentoml.api
    def greet(self, ctx: bentoml.Context, name: str = "you") -> str:
        """Say who asks and who answers."""
        ctx.response.headers["X-Greeted-By"] = self.name
        ctx.response.status_code = 201 if self.factor == 1 else 202
        return f"{self.name} greets {name} of {ctx.request.headers.get('X-Tenant', 'nowhere')}"


@bentoml.service(traffic={"timeout": 20})
class ClaimsV2(ClaimsV1.inner):  # type: ignore[name-defined,misc]
    name = "v2"
    factor = 2.0

    @bentoml.api
    def judge(self, claim: Claim, /) -> Opinion:
        """Judge one claim, and misbehave on request."""
        if claim.amount == 666:
            time.sleep(12)  # longer than CANDIDATE_TIMEOUT; `runners` wait for it when they stop
        if claim.amount == 6:
            time.sleep(0.4)  # three of these, one after another, are more than CANDIDATE_TIMEOUT
        if claim.amount == 667:
            raise SystemExit("the candidate gives up")
        if claim.amount == 668:
            return Opinion(score=float("nan"), by=self.name)
        if claim.amount == 669:
            return {"unexpected": True}  # type: ignore[return-value]
        if claim.amount == 670:
            os._exit(3)
        claim.tags.append(self.name)
        return Opinion(score=self.factor * claim.amount / 100, by=",".join(claim.tags))


Claims = migrate(
    primary=ClaimsV1,
    flag="claims-v2",
    score="score",
    threshold=0.5,
    apis={
        "scale": Reading.of(lambda vector: float(vector[0])),
        "annotate": None,
        "greet": None,
    },
    segments={"size": lambda inputs: "large" if _amount(inputs) > 100 else "small"},
    **placed(ClaimsV2),
    name="Claims",
    max_request_bytes=100_000,
)


def _amount(inputs: object) -> float:
    claim = inputs["claim"] if isinstance(inputs, dict) else inputs
    return float(claim.amount)  # type: ignore[attr-defined]
