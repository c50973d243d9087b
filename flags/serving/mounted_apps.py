"""Applications that are mounted into the primary, served by the migrated service.

Their `self` is the primary's instance. If the primary runs in processes of its own, its
applications run there, and requests to them are forwarded.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from bentoml import Service
from multidict import CIMultiDict
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from flags.serving.bentoml_private import set_current_service
from flags.serving.sides.http_answers import body_chunks
from flags.serving.sides.runner_wire import (
    CALL_HEADER,
    WireCall,
    end_to_end_headers,
    with_headers,
)

NewSession = Callable[[], aiohttp.ClientSession]
"""Return the HTTP session to the primary's process."""

_FORWARDED: Final = frozenset({"content-type", "content-length"})
"""Headers of a request that are forwarded directly, besides those inside the wire call."""

_OF_A_BODY: Final = frozenset({b"content-length", b"content-type"})


def primary_as_current(primary: Callable[[], Any]) -> Starlette:
    """Return an application without routes that makes the primary the current service at its start.

    Just before applications start, BentoML sets the migrated service's instance. But
    `get_current_service()`, which is the `self` of their routes, must be the primary's instance.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        set_current_service(primary())
        yield

    return Starlette(lifespan=lifespan)


def forwarding_app(app: ASGIApp, session: NewSession) -> ASGIApp:
    """Return an application that looks like `app` and forwards to the primary's process."""
    forwarding = _Forwarding(session)
    if not isinstance(app, Starlette):
        return forwarding
    # BentoML reads the routes of a Starlette application and starts it, so the class must match.
    kind = type(app)

    async def call(_: Any, scope: Scope, receive: Receive, send: Send) -> None:
        await forwarding(scope, receive, send)

    def router(_: Any) -> SimpleNamespace:
        return SimpleNamespace(routes=vars(app)["router"].routes, lifespan_context=_no_lifespan)

    proxy: ASGIApp = object.__new__(
        type(kind.__name__, (kind,), {"__call__": call, "router": property(router)})
    )
    vars(proxy).update(vars(app))
    return proxy


def carry_over(service: Service[Any], primary: Service[Any], session: NewSession | None) -> None:
    """Mount the applications of `primary` into `service`.

    With a `session`, they run in other processes.
    """
    for app, path, name in primary.mount_apps:
        mounted = app if session is None else forwarding_app(app, session)
        service.mount_apps.append((mounted, path, name))


@asynccontextmanager
async def _no_lifespan(_: Any) -> AsyncGenerator[None, None]:
    yield


class _Forwarding:
    """An application that forwards requests and responses unchanged."""

    def __init__(self, session: NewSession) -> None:
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._forward_socket(WebSocket(scope, receive, send))
        elif scope["type"] == "http":
            request = Request(scope, receive)
            try:
                response = await self._forward(request)
            except aiohttp.ClientError:
                failed = PlainTextResponse("Internal Server Error", 500)
                await failed(scope, receive, send)
                return
            forwarded = StreamingResponse(body_chunks(response), response.status)
            await with_headers(forwarded, response.raw_headers)(scope, receive, send)

    async def _forward(self, request: Request) -> aiohttp.ClientResponse:
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        headers = _call_headers(request.scope)
        headers.update({n: v for n, v in request.headers.items() if n in _FORWARDED})
        return await self._session().request(
            request.method,
            _url(request.scope),
            data=_body(request) if has_body else None,
            headers=headers,
            allow_redirects=False,
        )

    async def _forward_socket(self, ours: WebSocket) -> None:
        protocols = ours.scope.get("subprotocols", ())
        try:
            theirs = await self._session().ws_connect(
                _url(ours.scope),
                headers=_call_headers(ours.scope),
                protocols=protocols,
                max_msg_size=0,  # BentoML's server limits what callers send, not what it sends
            )
        except aiohttp.WSServerHandshakeError as refusal:
            await _refuse(ours, refusal)
            return
        except aiohttp.ClientError:
            await ours.close()  # before it is accepted, which refuses it with 403
            return
        async with theirs:
            # aiohttp has no public name for the answer to the handshake.
            await ours.accept(theirs.protocol, _own_headers(theirs._response.raw_headers))
            from_app = asyncio.create_task(_from_app(theirs, ours))
            directions = [asyncio.create_task(_to_app(ours, theirs)), from_app]
            _, unfinished = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for direction in unfinished:
                direction.cancel()
            await asyncio.wait(directions)
            if not from_app.cancelled():
                from_app.result()  # raises, so that the server ends the connection too


async def _refuse(ours: WebSocket, refusal: aiohttp.WSServerHandshakeError) -> None:
    """Refuse the websocket with the status and headers of the application, but without its body."""
    if "websocket.http.response" not in (ours.scope.get("extensions") or {}):
        await ours.close()
        return
    response = Response(status_code=refusal.status)
    given = [(name.encode(), value.encode()) for name, value in (refusal.headers or {}).items()]
    response.raw_headers.extend(each for each in _own_headers(given) if each[0] not in _OF_A_BODY)
    await ours.send_denial_response(response)


def _own_headers(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers that the application has given to the answer to a handshake."""
    return [
        (name, value)
        for name, value in end_to_end_headers(raw)
        if not name.startswith(b"sec-websocket-")
    ]


def _url(scope: Scope) -> Any:
    from yarl import URL  # comes with aiohttp

    raw = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"").decode("latin-1")
    path = raw.split(b"?")[0].decode("latin-1")
    return URL(f"{path}?{query}" if query else path, encoded=True)


def _call_headers(scope: Scope) -> CIMultiDict[str]:
    # The mount has changed `root_path`, so the original one is restored.
    whole = {**scope, "root_path": scope.get("app_root_path", "")}
    return CIMultiDict({CALL_HEADER: WireCall.of(whole, runs_tasks=True).packed()})


async def _body(request: Request) -> AsyncGenerator[bytes, None]:
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            if chunk:
                yield chunk


async def _to_app(ours: WebSocket, theirs: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        message = await ours.receive()
        if message["type"] == "websocket.disconnect":
            await theirs.close(
                code=message.get("code") or 1000, message=(message.get("reason") or "").encode()
            )
            return
        if message.get("text") is not None:
            await theirs.send_str(message["text"])
        else:
            await theirs.send_bytes(message.get("bytes") or b"")


async def _from_app(theirs: aiohttp.ClientWebSocketResponse, ours: WebSocket) -> None:
    while True:
        message = await theirs.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            await ours.send_text(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await ours.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.CLOSE:
            with suppress(RuntimeError, WebSocketDisconnect):
                await ours.close(code=message.data or 1000, reason=message.extra)
            return
        else:
            raise ConnectionError("the application failed without closing its websocket")
