"""A side with types of its own reads the body as its service alone would."""

from pathlib import Path
from typing import Annotated, Any

import bentoml
import httpx
import pytest
from pydantic import AfterValidator, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from flags.serving.bentoml_private import ServiceContext
from flags.serving.http.kept_body import kept_body, read_again
from flags.serving.http.middleware import RequestMiddleware
from flags.serving.settings import Settings
from tests.support.services.amounts import Amount

Halved = Annotated[float, AfterValidator(lambda value: value / 2)]
HalvedByAlias = Annotated[Halved, Field(alias="Half")]


class Inputs:
    @bentoml.api
    def fields(self, amount: Amount, half: HalvedByAlias) -> str: ...

    @bentoml.api
    def whole(self, amount: Amount, /) -> str: ...

    @bentoml.api
    def bare(self, half: Halved, /) -> str: ...

    @bentoml.api
    def any(self, *args: int, **kwargs: Any) -> str: ...

    @bentoml.api
    def form(self, file: Path, half: Halved) -> str: ...


APIS = bentoml.service(Inputs).apis
AMOUNT = {"Cents": 250, "hidden": 1}


async def read(name: str, *, kept: int | None = None, **given: Any) -> Any:
    """Send a body through the middleware; return what is read from it after the application."""
    found: list[Any] = []

    async def answer(request: Request) -> JSONResponse:
        await request.body()  # as BentoML has read it for the primary
        with ServiceContext().in_request(request):
            body = kept_body(request)
            if body is not None:
                call = await read_again(request, body, APIS[name].input_spec)
                files = [each for each in call.kwargs.values() if isinstance(each, Path)]
                found.extend((call, *(each.read_bytes() for each in files)))
        return JSONResponse({})

    path = f"/{name}"
    app = RequestMiddleware(
        Starlette(routes=[Route(path, answer, methods=["POST"])]),
        routes=[path],
        kept={path: kept},
        settings=Settings(),
        max_request_bytes=None,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://service"
    ) as client:
        await client.post(path, **given)
    return found


async def test_a_body_is_read_by_aliases_and_validators_of_the_side() -> None:
    ((call),) = await read("fields", json={"amount": AMOUNT, "Half": 3})
    assert (call.args, call.kwargs["half"], call.kwargs["amount"].cents) == ((), 1.5, 2.5)
    ((call),) = await read("whole", json=AMOUNT)
    assert call.args[0].cents == 2.5
    ((call),) = await read("bare", json=3)
    assert call.args == (1.5,)
    ((call),) = await read("any", json={"args": [1], "kwargs": {"a": 2}})
    assert (call.args, call.kwargs) == (([1],), {"a": 2})
    call, content = await read("form", files={"file": ("a.csv", b"abc")}, data={"half": "3"})
    assert (call.kwargs["half"], call.kwargs["file"].suffix, content) == (1.5, ".csv", b"abc")


async def test_a_body_that_only_the_side_refuses_is_its_error() -> None:
    with pytest.raises(ValidationError):
        await read("whole", json={"Cents": "x"})


async def test_a_body_is_kept_up_to_its_limit() -> None:
    size = len(httpx.Request("POST", "http://service", json=AMOUNT).content)
    assert len(await read("whole", kept=size, json=AMOUNT)) == 1
    assert await read("whole", kept=size - 1, json=AMOUNT) == []
