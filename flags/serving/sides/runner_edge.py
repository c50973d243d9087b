"""Make a call look like the caller's request, in the worker processes of a side.

BentoML calls the model of another process with headers of its own. A side must see the caller's
address, query and headers; middleware that the caller's request went through must not see it twice;
and the background tasks of a shadow are not run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bentoml import Service
from starlette.background import BackgroundTasks
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flags.serving.bentoml_private import BentoMLContainer, ServiceContext, server_context
from flags.serving.sides.runner_wire import HEADER, WireCall

_CALL: Final = "bentoml_flags.call"
_NAME: Final = HEADER.encode()


def adapt_service(service: Service[Any]) -> None:
    """Have `service` know calls of a migrated one, once; alone it behaves as before."""
    if any(each is RunnerEdge for each, _ in service.middlewares):
        return
    routes = frozenset((service.path_prefix or "") + api.route for api in service.apis.values())
    service.middlewares[:] = [
        (RunnerEdge, {"routes": routes}),
        *((OuterOnly, {"outer": cls, "options": options}) for cls, options in service.middlewares),
    ]
    context = CallContext()
    context.state = service.context.state
    service.context = context


def outer_middlewares(service: Service[Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Return the middlewares of `service` for the service that callers reach in its place."""
    return [
        (options["outer"], options["options"]) if each is OuterOnly else (each, options)
        for each, options in service.middlewares
        if each is not RunnerEdge
    ]


class RunnerEdge:
    """Outermost middleware of a side: takes the caller's request out of a call's header."""

    def __init__(self, app: ASGIApp, *, routes: frozenset[str]) -> None:
        self._app = app
        self._routes = routes
        # What is served to callers takes no such header from them.
        self._believes = server_context.service_type == "service"
        self._has_cors = bool(BentoMLContainer.http.cors.enabled.get())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on with the caller's scope beside its own, or, of a mounted app, as it."""
        packed = None
        if self._believes and scope["type"] in ("http", "websocket"):
            packed = next((value for name, value in scope["headers"] if name == _NAME), None)
        if packed is None:
            await self._app(scope, receive, send)
            return
        call = WireCall.unpacked(packed)
        if scope["path"] in self._routes:
            scope[_CALL] = call
        else:
            scope = {**scope, **call.scope, _CALL: call}
        await self._app(scope, receive, _without_cors(send) if self._has_cors else send)


def _without_cors(send: Send) -> Send:
    """Return a `send` that takes off what BentoML's CORS adds to each answer: it does so twice."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            vary = headers.get("vary", "").removesuffix("Origin").rstrip(", ")
            del headers["vary"]
            if vary:
                headers["vary"] = vary
        await send(message)

    return sending


class OuterOnly:
    """Middleware of a service, left out for calls of a migrated one, which has it as well."""

    def __init__(self, app: ASGIApp, *, outer: Any, options: dict[str, Any]) -> None:
        self._app = app
        self._outer: ASGIApp = outer(app, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Go through the middleware, or past it."""
        await (self._app if _CALL in scope else self._outer)(scope, receive, send)


class CallContext(ServiceContext):
    """Context of a side's API in its own process."""

    @contextmanager
    def in_request(self, request: Request) -> Iterator[ServiceContext]:
        """Set the context up for one request."""
        with super().in_request(request):
            call: WireCall | None = request.scope.get(_CALL)
            if call is not None and not call.runs_tasks:
                super().response.background = _OnlyClosing()
            yield self

    @property
    def request(self) -> Request:
        """Return the caller's request, where there is one."""
        own = super().request
        call: WireCall | None = own.scope.get(_CALL)
        if call is None or own.scope["headers"] is call.scope["headers"]:
            return own
        request = Request({**own.scope, **call.scope}, own.receive)
        request.metadata = request.headers  # type: ignore[attr-defined]  # as BentoML does
        return request


class _OnlyClosing(BackgroundTasks):
    """Background tasks of a call that nobody asked for: BentoML's own alone, to close a request."""

    async def __call__(self) -> None:
        for task in self.tasks:
            if getattr(task.func, "__func__", None) is Request.close:
                await task()
