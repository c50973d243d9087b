"""The link to a candidate: real servers on loopback that come, change and fail."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import bentoml
import pydantic
import pytest
from aiohttp import web
from starlette.requests import Request

from flags.errors import AnswerUnreadableError, ApiMismatchError, SideDownError
from flags.pairing.call import CallResult
from flags.serving.remote.address import Remote
from flags.serving.remote.client import RemoteClient
from flags.serving.remote.connections import Connections
from flags.serving.remote.link import RemoteLink
from flags.serving.remote.link_settings import LinkSettings
from flags.serving.sides.context import SideContext
from service.serving import free_port
from tests.support.fakes import until

FAST = LinkSettings(check_interval=0.05, failures=3)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Opinion(pydantic.BaseModel):
    score: float


@bentoml.service(name="far")
class Ours:
    @bentoml.api
    def judge(self, amount: float) -> Opinion:
        raise NotImplementedError

    @bentoml.api
    async def count(self, upto: int) -> AsyncGenerator[Opinion, None]:
        yield Opinion(score=upto)


OURS: Any = Ours


def schema() -> Any:
    return json.loads(json.dumps(OURS.schema()))


async def answered(_: web.Request) -> web.StreamResponse:
    return web.json_response({"score": 0.5}, headers={"X-BentoML-Request-ID": "1"})


@dataclass
class Far:
    """A server whose documents and answers may be changed while it runs."""

    port: int = field(default_factory=free_port)
    document: Any = field(default_factory=schema)
    version: str = "7"
    answer: Answer = answered
    tls: ssl.SSLContext | None = None

    @property
    def remote(self) -> Remote:
        scheme = "http" if self.tls is None else "https"
        return Remote(f"{scheme}://127.0.0.1:{self.port}", name="unseen")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        app = web.Application()
        app.router.add_get("/schema.json", self._schema)
        app.router.add_get("/docs.json", self._docs)
        app.router.add_post("/{api}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self.tls).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _schema(self, _: web.Request) -> web.StreamResponse:
        if isinstance(self.document, str):
            return web.Response(text=self.document, content_type="text/html")
        return web.json_response(self.document)

    async def _docs(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"info": {"version": self.version}})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        return await self.answer(request)


@asynccontextmanager
async def linked(remote: Remote, settings: LinkSettings = FAST) -> AsyncGenerator[RemoteLink, None]:
    link = RemoteLink(remote, list(OURS.apis.values()), settings)
    await link.start()
    try:
        yield link
    finally:
        await link.stop()


def client(link: RemoteLink, api: str = "judge") -> RemoteClient:
    return RemoteClient(link, Connections(10), OURS.apis[api], None)


def context() -> SideContext:
    return SideContext(Request({"type": "http", "headers": []}), {})


async def judged(link: RemoteLink) -> CallResult:
    return await client(link).answer(context(), amount=1.0)


async def test_a_server_that_is_there_says_what_it_serves() -> None:
    far = Far()
    async with far.running(), linked(far.remote) as link:
        assert link.report().state == "ready"
        assert link.model == "far:7"
        result = await judged(link)
        assert result.value.score == 0.5
        assert result.duration is not None


async def test_a_server_without_a_version_goes_by_its_name() -> None:
    far = Far(version="None")
    async with far.running(), linked(far.remote) as link:
        assert link.model == "far"


async def test_a_server_that_is_away_refuses_calls_at_once_and_is_found_when_it_comes() -> None:
    far = Far()
    async with linked(far.remote) as link:
        assert link.report().state == "away"
        assert link.model == "unseen"
        with pytest.raises(SideDownError, match="away"):
            await judged(link)
        async with far.running():
            await until(lambda: link.is_ready)
            assert (await judged(link)).value.score == 0.5


async def test_a_name_that_does_not_resolve_is_said_and_nothing_else_fails() -> None:
    async with linked(Remote("http://candidate.invalid:3000")) as link:
        assert link.report().state == "away"
        assert "candidate.invalid" in (link.report().why or "")


@pytest.mark.parametrize("document", ["<html>Log in</html>", {"routes": "none"}, []])
async def test_what_is_not_a_bentoml_server_is_not_called(document: Any) -> None:
    far = Far(document=document)
    async with far.running(), linked(far.remote) as link:
        assert "not a BentoML server" in (link.report().why or "")
        with pytest.raises((SideDownError, ApiMismatchError)):
            await judged(link)


async def test_another_schema_in_the_middle_stops_the_calls_until_it_is_right_again() -> None:
    far = Far()
    async with far.running(), linked(far.remote) as link:
        for route in far.document["routes"]:
            for each in route["input"]["properties"].values():
                each["type"] = "string"
        await until(lambda: link.report().state == "other schema")
        with pytest.raises(ApiMismatchError, match="'string' instead of"):
            await judged(link)
        far.document, far.version = schema(), "8"
        await until(lambda: link.is_ready)
        assert link.model == "far:8"


async def test_a_tag_that_comes_with_the_answer_is_the_answers() -> None:
    async def tagged(_: web.Request) -> web.StreamResponse:
        headers = {"X-BentoML-Request-ID": "1", "X-Model-Tag": "fraud:abc", "X-Other": "1"}
        return web.json_response({"score": 0.5}, headers=headers)

    far = Far(answer=tagged)
    async with far.running(), linked(far.remote) as link:
        own = context()
        result = await client(link).answer(own, amount=1.0)
        assert result.model == "fraud:abc"
        assert own.response.metadata["X-Other"] == "1"
        assert "X-Model-Tag" not in own.response.metadata


async def _half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"score": 0.')
    assert request.transport is not None
    request.transport.abort()
    return response


async def _half_json(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"score": 0.', content_type="application/json")


async def _empty(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"", content_type="application/json")


async def _proxy_gone(_: web.Request) -> web.StreamResponse:
    return web.Response(status=502, text="no upstream")


async def _log_in(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/log-in"})


async def _not_found(_: web.Request) -> web.StreamResponse:
    return web.Response(status=404, text="no such page")


async def _odd_status(_: web.Request) -> web.StreamResponse:
    return web.Response(status=520, text="odd")


@pytest.mark.parametrize(
    "answer", [_half, _half_json, _empty, _proxy_gone, _log_in, _not_found, _odd_status]
)
async def test_what_is_not_a_whole_answer_of_the_model_is_an_error(answer: Answer) -> None:
    far = Far(answer=answer)
    async with far.running(), linked(far.remote) as link:
        with pytest.raises(Exception) as raised:  # noqa: PT011 - of many kinds, none an answer
            await judged(link)
        assert not isinstance(raised.value, AssertionError)


@pytest.mark.parametrize("answer", [_half, _proxy_gone])
async def test_calls_without_an_answer_open_the_breaker_and_an_answer_closes_it(
    answer: Answer,
) -> None:
    far = Far(answer=answer)
    async with far.running(), linked(far.remote) as link:
        for _ in range(FAST.failures):
            with pytest.raises(Exception) as raised:  # noqa: PT011 - of two kinds
                await judged(link)
            assert "trial calls" not in str(raised.value)
        assert link.report().state == "failing"
        with pytest.raises(SideDownError, match="trial calls"):
            await judged(link)
        far.answer = answered

        async def is_back() -> bool:
            try:
                await judged(link)
            except SideDownError:
                return False
            return True

        while not await is_back():  # noqa: ASYNC110 - nothing tells when a trial is due
            await asyncio.sleep(0.02)
        assert link.is_ready


async def test_an_error_of_the_model_does_not_open_the_breaker() -> None:
    async def refuses(_: web.Request) -> web.StreamResponse:
        return web.json_response([{"error": "no such country"}], status=400)

    far = Far(answer=refuses)
    async with far.running(), linked(far.remote) as link:
        for _ in range(2 * FAST.failures):
            with pytest.raises(bentoml.exceptions.BentoMLException, match="no such country"):
                await judged(link)
        assert link.is_ready


async def test_a_call_that_is_given_up_frees_its_connection_and_counts_as_no_answer() -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def hangs(_: web.Request) -> web.StreamResponse:
        begun.set()
        await free.wait()
        raise web.HTTPGone

    far = Far(answer=hangs)
    async with far.running(), linked(far.remote) as link:
        connections = Connections(1)
        one = RemoteClient(link, connections, OURS.apis["judge"], None)
        for _ in range(FAST.failures):
            begun.clear()
            call = asyncio.create_task(one.answer(context(), amount=1.0))
            await begun.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert link.report().state == "failing"
        async with asyncio.timeout(5), connections.one():
            free.set()


async def _stream(request: web.Request, *chunks: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"X-BentoML-Request-ID": "1"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for chunk in chunks:
        await response.write(chunk)
    return response


@pytest.mark.parametrize(
    "chunks",
    [
        (b'{"score":1}', b'{"score":2}'),
        (b'{"score":1}{"score":2}',),
        (b'{"sco', b're":1}{"score"', b":2}"),
        (b'{"score":1}\n', b'\n{"score":2}\n'),
    ],
)
async def test_a_stream_has_the_same_items_however_a_proxy_cuts_it(chunks: Any) -> None:
    far = Far(answer=lambda request: _stream(request, *chunks))
    async with far.running(), linked(far.remote) as link:
        items = client(link, "count").items(context(), upto=2)
        assert [item.score async for item in items] == [1, 2]


async def test_a_stream_that_ends_within_an_item_is_an_error() -> None:
    far = Far(answer=lambda request: _stream(request, b'{"score":1}', b'{"sco'))
    async with far.running(), linked(far.remote) as link:
        items = client(link, "count").items(context(), upto=2)
        assert (await anext(items)).score == 1
        with pytest.raises(AnswerUnreadableError):
            await anext(items)


async def test_a_stream_that_is_closed_early_frees_its_connection() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = await _stream(request, b'{"score":1}')
        await asyncio.Event().wait()
        return response

    far = Far(answer=endless)
    async with far.running(), linked(far.remote) as link:
        connections = Connections(1)
        items = RemoteClient(link, connections, OURS.apis["count"], None).items(context(), upto=2)
        assert (await anext(items)).score == 1
        await items.aclose()
        async with asyncio.timeout(5), connections.one():
            assert link.is_ready


async def test_a_server_that_never_says_what_it_is_does_not_keep_the_service_from_starting() -> (
    None
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        remote = Remote(f"http://127.0.0.1:{silent.getsockname()[1]}")
        async with linked(remote) as link:
            assert link.report().state == "away"
            assert "no answer within" in (link.report().why or "")
