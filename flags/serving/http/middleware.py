"""Middleware of the API routes: request id, refusal of malformed requests, response headers."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flags.errors import RequestIdError
from flags.pairing.delivery import Answer
from flags.serving.http.outgoing import identifying, travelling
from flags.serving.http.request_identity import RequestIdentity, identify
from flags.serving.http.task_requests import ABOUT_A_TASK, SUBMIT, keep_id
from flags.serving.http.task_requests import kept_headers as task_headers
from flags.serving.settings import Settings

logger = logging.getLogger(__name__)

IDENTITY: Final = "bentoml_flags.identity"
ANSWER: Final = "bentoml_flags.answer"
AFTERWARDS: Final = "bentoml_flags.afterwards"
"""Keys of the ASGI scope: the identity of the request, the endpoint's answer, and the callback for
the end of the response."""

_READ: Final = frozenset({"content-length", "traceparent", "tracestate"})
"""Headers that are read of every request, whatever the settings."""


def afterwards(scope: Scope, callback: Callable[[], object]) -> None:
    """Have the middleware call `callback` once the response has ended, however it did."""
    scope.setdefault(AFTERWARDS, []).append(callback)


class RequestMiddleware:
    """ASGI middleware around the API routes; everything else passes untouched."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Collection[str],
        settings: Settings,
        max_request_bytes: int | None,
        tasks: Collection[str] = (),
        server: str | None = None,
    ) -> None:
        """Guard `routes`; of these, `tasks` have routes of their tasks behind them.

        `server` is the name that answers of BentoML's carry, by default as it writes it.
        """
        self._app = app
        submitting = {route + SUBMIT for route in tasks}
        self._about_tasks = {route + each for route in tasks for each in ABOUT_A_TASK}
        self._submitting = frozenset(submitting)
        self._routes = frozenset({*routes, *submitting, *self._about_tasks})
        self._server = server
        self._settings = settings
        self._names = identifying(settings)
        wanted = {each.lower() for each in self._names}
        self._wanted = frozenset(each.encode("latin-1") for each in wanted | _READ)
        self._max_bytes = settings.max_request_bytes or max_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an accepted request on; answer a malformed one with 4xx, in words."""
        if scope["type"] != "http" or scope["path"] not in self._routes:
            travelling.set(None)  # a server may run this in the context of an earlier request
            await self._app(scope, receive, send)
            return
        # Of some dozens, each of which every look-up would go through.
        headers = Headers(raw=[each for each in scope["headers"] if each[0] in self._wanted])
        try:
            identity = identify(await self._known(scope, headers), self._settings)
        except RequestIdError as error:
            await JSONResponse({"error": str(error)}, 400)(scope, receive, send)
            return
        scope[IDENTITY] = identity
        if scope["path"] in self._submitting and self._settings.request_id_header:
            keep_id(scope, self._settings.request_id_header, identity.request_id)
        travelling.set(self._travelling(headers, identity))
        body = _BoundedBody(receive, self._max_bytes)
        if body.announced_too_large(headers):
            await self._too_large(scope, receive, self._naming(scope, identity, send))
            return
        replacing = self._replacing(scope, identity, body, send)
        try:
            await self._app(scope, body.receive, replacing)
        except ClientDisconnect:  # how Starlette's request ends the reading of a cut body
            if not body.exceeded:
                raise
            await self._too_large(scope, body.receive, replacing)
        finally:
            for callback in scope.get(AFTERWARDS, ()):
                callback()

    async def _known(self, scope: Scope, headers: Headers) -> Mapping[str, str]:
        """Return the headers that identify the request: of a task, those of its submission too."""
        if scope["path"] not in self._about_tasks:
            return headers
        task_id = Request(scope).query_params.get("task_id")
        kept = await asyncio.to_thread(task_headers, task_id) if task_id else {}
        known = {name: kept[name] for each in self._names if (name := each.lower()) in kept}
        return Headers({**known, **headers})

    def _travelling(self, headers: Headers, identity: RequestIdentity) -> Mapping[str, str]:
        given = ((name, headers.get(name)) for name in self._names)
        sent = {name: value for name, value in given if value is not None}
        if self._settings.request_id_header:
            sent[self._settings.request_id_header] = identity.request_id
        return sent

    def _replacing(
        self, scope: Scope, identity: RequestIdentity, body: "_BoundedBody", send: Send
    ) -> Send:
        """Return a `send` that answers 413 in place of whatever a cut body led to."""
        named = self._naming(scope, identity, send)
        replaced = False

        async def replacing(message: Message) -> None:
            nonlocal replaced
            if replaced:
                return
            if body.exceeded and message["type"] == "http.response.start":
                replaced = True
                await self._too_large(scope, body.receive, named)
                return
            await named(message)

        return replacing

    def _naming(self, scope: Scope, identity: RequestIdentity, send: Send) -> Send:
        """Return a `send` that adds the request id, the served side and the model's tag."""
        settings = self._settings

        async def naming(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if self._server is not None and "server" in headers:
                    headers["server"] = self._server
                if settings.request_id_header:
                    headers[settings.request_id_header] = identity.request_id
                answer: Answer | None = scope.get(ANSWER)
                if answer is not None:
                    if settings.model_side_header:
                        headers[settings.model_side_header] = answer.served.value
                    if settings.model_tag_header and answer.model:
                        headers[settings.model_tag_header] = _sendable(answer.model)
            await send(message)

        return naming

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"the request body is larger than {self._max_bytes} bytes"
        await JSONResponse({"error": message}, 413)(scope, receive, send)


class _BoundedBody:
    """Receive a body up to a number of bytes; past it, tell the application the caller is gone."""

    def __init__(self, receive: Receive, limit: int | None) -> None:
        self._receive = receive
        self._limit = limit
        self._received = 0
        self.exceeded = False

    def announced_too_large(self, headers: Headers) -> bool:
        length = headers.get("content-length", "")
        return self._limit is not None and length.isdecimal() and int(length) > self._limit

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and self._limit is not None:
            self._received += len(message.get("body", b""))
            if self._received > self._limit:
                self.exceeded = True
                return {"type": "http.disconnect"}
        return message


def _sendable(tag: str) -> str:
    """Return a tag as a header can hold it; without a model, it is a name in any script."""
    return tag.encode("ascii", "replace").decode()
