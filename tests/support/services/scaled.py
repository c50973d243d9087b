"""A migrated service that does little, with as many workers and whatever prefix is asked for."""

import os

import bentoml
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from flags import migrate

PREFIX = os.environ.get("PATH_PREFIX", "")


class Opinion(BaseModel):
    score: float


@bentoml.service(path_prefix=PREFIX)
class ThingsV1:
    """Judge things."""

    @bentoml.api
    def judge(self, amount: float) -> Opinion:
        """Judge one thing."""
        return Opinion(score=amount / 100)

    @bentoml.api(route="/migration/judge")
    def judge_migration(self, amount: float) -> Opinion:
        """Judge under a path beside our own."""
        return Opinion(score=amount / 10)


@bentoml.service(path_prefix=PREFIX)
class ThingsV2(ThingsV1.inner):  # type: ignore[name-defined,misc]
    @bentoml.api
    def judge(self, amount: float) -> Opinion:
        """Judge one thing, if it is not too large."""
        if amount > 1_000:
            raise ValueError("too large for v2")
        return Opinion(score=2 * amount / 100)


async def about(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("the primary's page")


ThingsV1.mount_asgi_app(Starlette(routes=[Route("/about", about)]), "/migration")

Things = migrate(
    primary=ThingsV1,
    candidate=ThingsV2,
    flag=os.environ.get("FLAG", "things-v2"),
    score="score",
    threshold=0.5,
    decide=lambda opinion, _thresholds: opinion,
    placement=os.environ.get("PLACEMENT", "embedded"),
    workers=int(os.environ.get("API_WORKERS", "1")),
    name="Things",
)
