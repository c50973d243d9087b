"""A candidate with methods over many inputs; another interpreter imports it by itself."""

import json
import os
from pathlib import Path
from typing import Any

import bentoml
from pydantic import BaseModel

CALLED = Path(os.environ.get("CALLED", "called.jsonl"))
"""Where the candidate notes each call: its method, and the amounts."""


def note(method: str, amounts: list[float]) -> None:
    with CALLED.open("a") as file:
        file.write(json.dumps([method, amounts]) + "\n")


class Claim(BaseModel):
    amount: float


class Opinion(BaseModel):
    score: float
    by: str


@bentoml.service(name="batched_v2", traffic={"timeout": 60})
class Many:
    @bentoml.api
    def judge(self, claim: Claim, /) -> Opinion:
        note("judge", [claim.amount])
        return self._opinion(claim)

    @bentoml.api
    def judge_many(self, claims: list[Claim]) -> list[Opinion]:
        note("judge_many", [claim.amount for claim in claims])
        return [self._opinion(claim) for claim in claims]

    def _opinion(self, claim: Claim) -> Opinion:
        if claim.amount < 0:
            raise ValueError("no such amount")
        return Opinion(score=claim.amount / 50, by="v2")

    @bentoml.api
    def rate(self, amount: float, country: str, ctx: bentoml.Context) -> float:
        ctx.response.headers["X-Rated"] = "v2"
        note("rate", [amount])
        return amount / 50 + len(country)

    @bentoml.api
    async def rate_many(self, rows: list[dict[str, Any]], /) -> list[float]:
        note("rate_many", [row["amount"] for row in rows])
        return [row["amount"] / 50 + len(row["country"]) for row in rows]

    @bentoml.api(batchable=True)
    def halve(self, amounts: list[float]) -> list[float]:
        note("halve", amounts)
        return [amount / 2 for amount in amounts]
