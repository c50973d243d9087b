"""A service whose candidate is a deployment of its own, and what may stand at its address."""

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import bentoml
from bentoml.exceptions import InvalidArgument
from pydantic import BaseModel

from flags import Reading, Remote, migrate

FOLDER = Path(os.environ.get("ELSEWHERE", "."))
"""Where the candidate notes the headers of each call, and where its gates are."""


class Claim(BaseModel):
    amount: float
    conduct: str = ""


class Opinion(BaseModel):
    score: float
    by: str
    heard: dict[str, str] = {}
    pid: int = 0


@bentoml.service(name="near_v1", traffic={"timeout": 60})
class Near:
    @bentoml.api
    def judge(self, claim: Claim, /) -> Opinion:
        return Opinion(score=claim.amount / 100, by="near")

    @bentoml.api
    async def write(self, gate: str) -> AsyncGenerator[str, None]:
        for number in range(3):
            yield f"near {number} {gate}\n"


@bentoml.service(name="far_v2", traffic={"timeout": 60}, threads=8)
class Far:
    name = "far"

    @bentoml.api
    def judge(self, claim: Claim, /, ctx: bentoml.Context) -> Opinion:
        heard = dict(ctx.request.headers)
        with (FOLDER / "heard").open("a") as file:
            file.write(json.dumps(heard) + "\n")
        if claim.conduct == "refuses":
            raise InvalidArgument("the candidate does not like this")
        if claim.conduct == "hangs":
            time.sleep(4)
        ctx.response.headers["X-Judged-By"] = self.name
        return Opinion(score=claim.amount / 50, by=self.name, heard=heard)

    @bentoml.api
    async def write(self, gate: str) -> AsyncGenerator[str, None]:
        yield f"{self.name} 0\n"
        while gate and not (FOLDER / gate).exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.02)
        yield f"{self.name} 1\n"


@bentoml.service(name="far_v3", traffic={"timeout": 60})
class FarLater(Far.inner):  # type: ignore[name-defined,misc]
    """The next version, with the same schema."""

    name = "far later"


class OtherClaim(BaseModel):
    amount: str
    country: str


@bentoml.service(name="far_other", traffic={"timeout": 60})
class FarOther:
    """A server with another schema."""

    @bentoml.api
    def judge(self, claim: OtherClaim, /) -> Opinion:
        return Opinion(score=1.0, by=claim.country)

    @bentoml.api
    async def write(self, gate: str) -> AsyncGenerator[str, None]:
        yield gate


Claims = migrate(
    primary=Near,
    candidate=Remote(os.environ.get("FAR", "http://far.invalid:3000"), name="far-not-seen"),
    flag="far-v2",
    score="score",
    threshold=0.5,
    apis={"write": Reading.of({"lines": lambda text: text.count("\n")})},
    name="Claims",
)
