"""A migrated service whose application tracks what its callers complain of."""

import os

import bentoml
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import flags
from flags import migrate


class Opinion(BaseModel):
    score: float


@bentoml.service
class ThingsV1:
    """Judge things."""

    @bentoml.api
    def judge(self, amount: float) -> Opinion:
        """Judge one thing."""
        return Opinion(score=amount / 100)


@bentoml.service
class ThingsV2(ThingsV1.inner):  # type: ignore[name-defined,misc]
    """Judge things likewise."""


async def complain(request: Request) -> PlainTextResponse:
    """Track a complaint in one line, and what it cost by OpenFeature."""
    request_id, user = request.query_params["request"], request.query_params["user"]
    flags.track(request_id, "complaint")
    context = EvaluationContext(request_id, {"userId": user})
    client = api.get_client("bentoml-flags")
    client.track("money_lost", context, TrackingEventDetails(value=12.5))
    return PlainTextResponse("sorry")


ThingsV1.mount_asgi_app(Starlette(routes=[Route("/complain", complain)]), "/desk")

Tracked = migrate(
    primary=ThingsV1,
    candidate=ThingsV2,
    flag="things-v2",
    score="score",
    threshold=0.5,
    placement=os.environ.get("PLACEMENT", "isolated"),
    name="Tracked",
)
