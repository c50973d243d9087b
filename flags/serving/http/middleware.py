"""Middleware of the API routes: request id, limit of the body, response headers."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flags.pairing.delivery import Answer
from flags.serving.http.kept_body import BODY
from flags.serving.http.outgoing import identity_header_names, identity_headers
from flags.serving.http.request_identity import RequestIdentity, identify
from flags.serving.http.task_requests import ABOUT_A_TASK, SUBMIT, add_id_header, submission_headers
from flags.serving.settings import Settings

logger = logging.getLogger(__name__)

IDENTITY: Final = "bentoml_flags.identity"
ANSWER: Final = "bentoml_flags.answer"
AFTERWARDS: Final = "bentoml_flags.afterwards"
"""Keys of the ASGI scope: the identity of the request, the endpoint's answer, and the callbacks for
the end of the response."""

_ALWAYS_READ: Final = frozenset({"content-length", "traceparent", "tracestate"})
"""Headers that are read from every request, whatever the settings."""


def afterwards(scope: Scope, callback: Callable[[], object]) -> None:
    """Register `callback` to be called when the response has ended, successfully or not."""
    scope.setdefault(AFTERWARDS, []).append(callback)


class RequestMiddleware:
    """ASGI middleware around the API routes; all other requests pass unchanged."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Collection[str],
        settings: Settings,
        max_request_bytes: int | None,
        tasks: Collection[str] = (),
        kept: Mapping[str, int | None] = MappingProxyType({}),
        server: str | None = None,
    ) -> None:
        """Guard `routes`. The routes in `tasks` are tasks and have further routes below them.

        The bodies of the routes in `kept` are kept, for a side that reads them itself, up to the
        bytes there (None: all).
        `server` replaces the value of BentoML's `Server` header; None leaves it.
        """
        self._app = app
        submit_routes = {route + SUBMIT for route in tasks}
        self._task_routes = {route + each for route in tasks for each in ABOUT_A_TASK}
        self._submit_routes = frozenset(submit_routes)
        self._routes = frozenset({*routes, *submit_routes, *self._task_routes})
        submits = {route + SUBMIT: kept[route] for route in tasks if route in kept}
        self._kept = {**kept, **submits}
        self._server = server
        self._settings = settings
        self._names = identity_header_names(settings)
        names = {each.lower() for each in self._names}
        self._read_headers = frozenset(each.encode("latin-1") for each in names | _ALWAYS_READ)
        self._max_bytes = settings.max_request_bytes or max_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an accepted request on; answer one that is too large with 413."""
        if scope["type"] != "http" or scope["path"] not in self._routes:
            identity_headers.set(None)  # a server may run this in an earlier request's context
            await self._app(scope, receive, send)
            return
        # Only the headers that are read: each look-up would search the dozens of others.
        headers = Headers(raw=[each for each in scope["headers"] if each[0] in self._read_headers])
        identity = identify(await self._identity_headers(scope, headers), self._settings)
        scope[IDENTITY] = identity
        if scope["path"] in self._submit_routes and self._settings.request_id_header:
            add_id_header(scope, self._settings.request_id_header, identity.request_id)
        identity_headers.set(self._headers_to_forward(headers, identity))
        body = _BoundedBody(receive, self._max_bytes)
        if scope["path"] in self._kept:
            body.keep(scope, self._kept[scope["path"]])
        if body.announced_too_large(headers):
            await self._too_large(scope, receive, self._with_headers(scope, identity, send))
            return
        bounded_send = self._too_large_if_exceeded(scope, identity, body, send)
        try:
            await self._app(scope, body.receive, bounded_send)
        except ClientDisconnect:  # raised by Starlette's request when the body was cut off
            if not body.exceeded:
                raise
            await self._too_large(scope, body.receive, bounded_send)
        finally:
            for callback in scope.get(AFTERWARDS, ()):
                callback()

    async def _identity_headers(self, scope: Scope, headers: Headers) -> Mapping[str, str]:
        """Return the headers that identify the request, for a task also those of its submission."""
        if scope["path"] not in self._task_routes:
            return headers
        task_id = Request(scope).query_params.get("task_id")
        stored = await asyncio.to_thread(submission_headers, task_id) if task_id else {}
        submitted = {name: stored[name] for each in self._names if (name := each.lower()) in stored}
        return Headers({**submitted, **headers})

    def _headers_to_forward(self, headers: Headers, identity: RequestIdentity) -> Mapping[str, str]:
        present = ((name, headers.get(name)) for name in self._names)
        forwarded = {name: value for name, value in present if value is not None}
        if self._settings.request_id_header:
            forwarded[self._settings.request_id_header] = identity.request_id
        return forwarded

    def _too_large_if_exceeded(
        self, scope: Scope, identity: RequestIdentity, body: "_BoundedBody", send: Send
    ) -> Send:
        """Return a `send` that replaces the response by 413 if the body was cut off."""
        named_send = self._with_headers(scope, identity, send)
        replaced = False

        async def bounded_send(message: Message) -> None:
            nonlocal replaced
            if replaced:
                return
            if body.exceeded and message["type"] == "http.response.start":
                replaced = True
                await self._too_large(scope, body.receive, named_send)
                return
            await named_send(message)

        return bounded_send

    def _with_headers(self, scope: Scope, identity: RequestIdentity, send: Send) -> Send:
        """Return a `send` that adds the headers of request id, served side and model tag."""
        settings = self._settings

        async def named_send(message: Message) -> None:
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
                        headers[settings.model_tag_header] = _ascii(answer.model)
            await send(message)

        return named_send

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = f"the request body is larger than {self._max_bytes} bytes"
        await JSONResponse({"error": message}, 413)(scope, receive, send)


class _BoundedBody:
    """Receive a body up to a limit in bytes; beyond it, tell the application a disconnect."""

    def __init__(self, receive: Receive, limit: int | None) -> None:
        self._receive = receive
        self._limit = limit
        self._received = 0
        self.exceeded = False
        self._keeper: Scope | None = None
        self._most_kept: int | None = None

    def keep(self, scope: Scope, most: int | None) -> None:
        """Keep what is received in `scope`, but nothing of a body of more than `most` bytes."""
        self._keeper, self._most_kept = scope, most
        scope[BODY] = []

    def announced_too_large(self, headers: Headers) -> bool:
        length = headers.get("content-length", "")
        return self._limit is not None and length.isdecimal() and int(length) > self._limit

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        part = message.get("body", b"")
        self._received += len(part)
        if self._limit is not None and self._received > self._limit:
            self.exceeded = True
            return {"type": "http.disconnect"}
        if self._keeper is not None:
            self._keeper[BODY].append(part)
            if self._most_kept is not None and self._received > self._most_kept:
                del self._keeper[BODY]
                self._keeper = None
        return message


def _ascii(tag: str) -> str:
    """Return a tag in ASCII, as headers need it; a service's name may have other characters."""
    return tag.encode("ascii", "replace").decode()
