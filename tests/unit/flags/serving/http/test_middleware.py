"""The middleware in front of a real Starlette application, called as a server calls it."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from flags.pairing.assignment import Assignment, Side
from flags.pairing.delivery import Answer
from flags.serving.http.middleware import AFTERWARDS, ANSWER, IDENTITY, RequestMiddleware
from flags.serving.settings import Settings
from tests.support.fakes import until

RawHeaders = Sequence[tuple[bytes, bytes]]


def answer(served: Side = Side.PRIMARY, model: str | None = "v1:1") -> Answer:
    return Answer(0.5, served, served is Side.PRIMARY, Assignment(served, "flag", "static"), model)


async def predict(request: Request) -> Response:
    """Answer with the identity that the middleware has read, and the length of the body."""
    body = await request.body()
    given = request.scope.get(IDENTITY)
    if request.query_params.get("answered") != "no":
        request.scope[ANSWER] = answer(
            Side(request.query_params.get("served", "primary")),
            request.query_params.get("model", "v1:1") or None,
        )
    identity = None if given is None else [given.request_id, dict(given.attributes)]
    return JSONResponse({"length": len(body), "identity": identity})


async def fail(_: Request) -> Response:
    return JSONResponse({"error": "the model's own"}, 422)


async def ignore_the_body(_: Request) -> Response:
    return JSONResponse("not read")


async def stream(_: Request) -> Response:
    async def rows() -> AsyncIterator[bytes]:
        for row in (b"a", b"b", b"c"):
            yield row

    return StreamingResponse(rows())


async def greet(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


ROUTES = ["/predict", "/fail", "/ignore", "/stream"]


def app_of(limit: int | None = None, **settings: Any) -> ASGIApp:
    return Starlette(
        routes=[
            Route("/predict", predict, methods=["POST"]),
            Route("/other", predict, methods=["POST"]),
            Route("/fail", fail, methods=["POST"]),
            Route("/ignore", ignore_the_body, methods=["POST"]),
            Route("/stream", stream, methods=["POST"]),
            WebSocketRoute("/socket", greet),
        ],
        middleware=[
            Middleware(
                RequestMiddleware,
                routes=ROUTES,
                settings=Settings(**settings),
                max_request_bytes=limit,
            )
        ],
    )


class Client:
    """Call an application as an ASGI server does, with raw header bytes and body parts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def post(
        self,
        path: str,
        headers: RawHeaders = (),
        *parts: bytes,
        query: bytes = b"",
    ) -> httpx.Response:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "scheme": "http",
            "headers": list(headers),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        incoming = [
            {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
            for index, part in enumerate(parts or (b"",))
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *rest = sent
        assert start["type"] == "http.response.start"
        assert [each["type"] for each in rest] == ["http.response.body"] * len(rest)
        return httpx.Response(
            start["status"],
            headers=start["headers"],
            content=b"".join(each.get("body", b"") for each in rest),
        )


def client_of(limit: int | None = None, **settings: Any) -> Client:
    return Client(app_of(limit, **settings))


def request_id(value: bytes) -> RawHeaders:
    return [(b"x-request-id", value)]


async def test_an_accepted_request_is_identified_and_its_id_sent_back() -> None:
    headers = [*request_id(b"r1"), (b"x-user-id", b"u1")]
    response = await client_of().post("/predict", headers, b"12345")
    assert response.json() == {"length": 5, "identity": ["r1", {"userId": "u1"}]}
    assert response.headers["x-request-id"] == "r1"


async def test_a_request_without_an_id_gets_one_and_is_told_it() -> None:
    response = await client_of().post("/predict")
    assert uuid.UUID(response.headers["x-request-id"])
    assert response.json()["identity"][0] == response.headers["x-request-id"]


@pytest.mark.parametrize("value", [b"x" * 128, b"\xff", b"caf\xe9", b"a b"])
async def test_an_id_of_any_printable_bytes_comes_back_as_it_went(value: bytes) -> None:
    response = await client_of().post("/predict", request_id(value))
    assert response.status_code == 200
    assert dict(response.headers.raw)[b"x-request-id"] == value


@pytest.mark.parametrize(
    "value", [b"", b" ", b"x" * 129, b"\x01", b"a\x00b", b"a\nb", b"\x7f", b"\x80", b"\x9b31m"]
)
async def test_an_id_that_cannot_be_one_is_replaced_and_the_request_answered(value: bytes) -> None:
    response = await client_of().post("/predict", request_id(value), b"12345")
    assert response.status_code == 200
    assert uuid.UUID(response.headers["x-request-id"])  # nothing malformed is sent back


@pytest.mark.parametrize(
    ("query", "side", "tag"),
    [
        (b"served=primary&model=v1:1", "primary", "v1:1"),
        (b"served=candidate&model=v2:1", "candidate", "v2:1"),
        (b"served=candidate&model=", "candidate", None),
        (b"served=primary&model=%E6%A8%A1%E5%9E%8B:1", "primary", "??:1"),
        (b"answered=no", None, None),
    ],
)
async def test_the_served_side_and_its_model_are_named(
    query: bytes, side: str | None, tag: str | None
) -> None:
    response = await client_of().post("/predict", query=query)
    assert response.status_code == 200
    assert response.headers.get("x-model-side") == side
    assert response.headers.get("x-model-tag") == tag


async def test_headers_with_an_empty_name_are_not_sent() -> None:
    client = client_of(request_id_header="", model_side_header="", model_tag_header="")
    response = await client.post("/predict", request_id(b"r1"))
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("x-")]


async def test_headers_have_the_names_of_the_settings() -> None:
    client = client_of(
        request_id_header="X-Id", model_side_header="X-Side", model_tag_header="X-Tag"
    )
    response = await client.post("/predict", [(b"x-id", b"r1")])
    names = {name: value for name, value in response.headers.items() if name.startswith("x-")}
    assert names == {"x-id": "r1", "x-side": "primary", "x-tag": "v1:1"}


async def test_an_error_of_the_application_is_named_and_left_as_it_is() -> None:
    response = await client_of(10).post("/fail", request_id(b"r1"))
    assert (response.status_code, response.json()) == (422, {"error": "the model's own"})
    assert response.headers["x-request-id"] == "r1"


async def test_a_streamed_answer_passes() -> None:
    response = await client_of(10).post("/stream", request_id(b"r1"))
    assert (response.content, response.headers["x-request-id"]) == (b"abc", "r1")


async def test_an_item_of_a_stream_is_sent_before_the_next_one_is_made() -> None:
    order: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for item in "abc":
            order.append(f"made {item}")
            await send({"type": "http.response.body", "body": item.encode(), "more_body": True})
        await send({"type": "http.response.body"})

    async def send(message: Message) -> None:
        if message.get("body"):
            order.append(f"sent {message['body'].decode()}")

    middleware = RequestMiddleware(
        inner, routes=["/predict"], settings=Settings(), max_request_bytes=10
    )
    await middleware({"type": "http", "path": "/predict", "headers": []}, never_received, send)
    assert order == ["made a", "sent a", "made b", "sent b", "made c", "sent c"]


@pytest.mark.parametrize("ends", ["answers", "raises", "is cancelled"])
async def test_what_is_to_follow_the_response_follows_it_however_it_ended(ends: str) -> None:
    order: list[str] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope[AFTERWARDS] = [lambda: order.append("first"), lambda: order.append("second")]
        order.append("began")
        if ends == "raises":
            raise OSError
        if ends == "is cancelled":
            await asyncio.Event().wait()
        await JSONResponse("done")(scope, receive, send)

    async def send(message: Message) -> None:
        order.append(message["type"])

    middleware = RequestMiddleware(
        inner, routes=["/predict"], settings=Settings(), max_request_bytes=10
    )
    scope: Scope = {"type": "http", "path": "/predict", "headers": []}
    running = asyncio.ensure_future(middleware(scope, never_received, send))
    await until(lambda: order)
    if ends == "is cancelled":
        running.cancel()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await running
    sent = ["http.response.start", "http.response.body"] if ends == "answers" else []
    assert order == ["began", *sent, "first", "second"]


async def never_received() -> Message:
    raise AssertionError("nobody has to read this body")


async def test_other_routes_pass_untouched() -> None:
    response = await client_of(3).post("/other", request_id(b""), b"123456")
    assert response.status_code == 200
    assert response.json() == {"length": 6, "identity": None}
    assert "x-request-id" not in response.headers


async def test_websockets_and_the_life_cycle_pass_untouched() -> None:
    seen: list[str] = []

    async def inner(scope: Scope, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        assert IDENTITY not in scope

    middleware = RequestMiddleware(
        inner, routes=ROUTES, settings=Settings(), max_request_bytes=None
    )

    async def unused(*_: Any) -> Any:
        raise AssertionError

    for kind in ("websocket", "lifespan"):
        await middleware({"type": kind, "path": "/predict", "headers": []}, unused, unused)
    assert seen == ["websocket", "lifespan"]


PARTS = {
    "in one part": (b"x" * 11,),
    "in parts": (b"x" * 4, b"x" * 4, b"x" * 4),
    "far beyond": tuple(b"x" * 10 for _ in range(50)),
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
async def test_a_larger_body_is_413_even_if_its_length_was_not_announced(
    parts: tuple[bytes, ...],
) -> None:
    response = await client_of(10).post("/predict", request_id(b"r1"), *parts)
    assert response.status_code == 413
    assert response.json() == {"error": "the request body is larger than 10 bytes"}
    assert response.headers["x-request-id"] == "r1"
    assert "x-model-side" not in response.headers


async def test_an_announced_length_beyond_the_limit_is_413_without_reading() -> None:
    headers = [*request_id(b"r1"), (b"content-length", b"11")]
    response = await client_of(10).post("/ignore", headers, b"")
    assert response.status_code == 413


async def test_an_announced_length_below_the_truth_does_not_help() -> None:
    response = await client_of(10).post("/predict", [(b"content-length", b"5")], b"x" * 11)
    assert response.status_code == 413


@pytest.mark.parametrize("length", [b"", b"nonsense", b"-1", b"1.5", b"\xb2", b"\xb9\xb2"])
async def test_an_announced_length_that_is_not_a_number_is_left_to_the_server(
    length: bytes,
) -> None:
    response = await client_of(10).post("/predict", [(b"content-length", length)], b"x" * 10)
    assert response.json()["length"] == 10


async def test_a_body_up_to_the_limit_is_accepted() -> None:
    response = await client_of(10).post(
        "/predict", [(b"content-length", b"10")], b"x" * 6, b"x" * 4
    )
    assert response.json()["length"] == 10


async def test_a_body_that_nobody_reads_is_nobody_s_business() -> None:
    response = await client_of(10).post("/ignore", [], b"x" * 11)
    assert (response.status_code, response.json()) == (200, "not read")


async def test_without_a_limit_any_body_is_accepted() -> None:
    response = await client_of().post("/predict", [(b"content-length", b"5000")], b"x" * 5000)
    assert response.json()["length"] == 5000


async def test_the_setting_goes_before_the_service_s_own_limit() -> None:
    response = await client_of(10, max_request_bytes=20).post("/predict", [], b"x" * 15)
    assert response.status_code == 200
    response = await client_of(20, max_request_bytes=10).post("/predict", [], b"x" * 15)
    assert response.status_code == 413


async def test_a_caller_that_leaves_is_not_a_413() -> None:
    """A disconnect that the middleware did not cause goes to the server unchanged."""
    middleware = app_of(10)
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    scope.update(root_path="", query_string=b"")
    with contextlib.suppress(Exception):
        await middleware(scope, receive, send)
    assert 413 not in {each.get("status") for each in sent}


async def test_an_application_that_answers_errors_itself_is_replaced_as_well() -> None:
    """BentoML turns an error of the reading into an answer of its own."""

    async def inner(scope: Scope, receive: Any, send: Any) -> None:
        try:
            await Request(scope, receive).body()
        except Exception:
            await JSONResponse({"error": "500"}, 500)(scope, receive, send)

    middleware = RequestMiddleware(
        inner, routes=["/predict"], settings=Settings(), max_request_bytes=10
    )
    response = await Client(middleware).post("/predict", [], b"x" * 11)
    assert response.status_code == 413
    assert json.loads(response.content)["error"].startswith("the request body is larger")
