"""The middleware and context of a side's worker processes, which restore the caller's request.

BentoML calls the model of another process with its own headers. But a side must see the caller's
address, query and headers; middleware that has handled the caller's request must not handle it
twice; and background tasks of a shadow must not run.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from bentoml import Service
from starlette.background import BackgroundTasks
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flags.serving.bentoml_private import BentoMLContainer, ServiceContext, server_context
from flags.serving.sides.call_serde import CallSerde
from flags.serving.sides.runner_wire import CALL_HEADER, WireCall

_CALL: Final = "bentoml_flags.call"
_NAME: Final = CALL_HEADER.encode()


def adapt_service(service: Service[Any]) -> None:
    """Prepare `service` for calls of a migrated service, once; served alone it is unchanged."""
    if any(each is RestoreCall for each, _ in service.middlewares):
        return
    routes = frozenset((service.path_prefix or "") + api.route for api in service.apis.values())
    service.middlewares[:] = [
        (RestoreCall, {"routes": routes}),
        *(
            (SkipForCalls, {"outer": cls, "options": options})
            for cls, options in service.middlewares
        ),
    ]
    context = CallContext()
    context.state = service.context.state
    service.context = context


def outer_middlewares(service: Service[Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Return the original middlewares of `service`, for the migrated service."""
    return [
        (options["outer"], options["options"]) if each is SkipForCalls else (each, options)
        for each, options in service.middlewares
        if each is not RestoreCall
    ]


class RestoreCall:
    """Outermost middleware of a side: restore the caller's request from a call's header."""

    def __init__(self, app: ASGIApp, *, routes: frozenset[str]) -> None:
        self._app = app
        self._routes = routes
        # Only a service that others depend on trusts the header, not one that callers reach.
        self._trusts_header = server_context.service_type == "service"
        if self._trusts_header:
            CallSerde.register()
        self._has_cors = bool(BentoMLContainer.http.cors.enabled.get())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on with the caller's scope.

        An API gets it beside the call's own scope, a mounted application instead of that.
        """
        packed = None
        if self._trusts_header and scope["type"] in ("http", "websocket"):
            packed = next((value for name, value in scope["headers"] if name == _NAME), None)
        if packed is None:
            await self._app(scope, receive, send)
            return
        call = WireCall.unpacked(packed)
        if not call.has_time_limit:
            await _end_time_limit(send)
        if scope["path"] in self._routes:
            scope[_CALL] = call
        else:
            scope = {**scope, **call.scope, _CALL: call}
        await self._app(scope, receive, _without_cors(send) if self._has_cors else send)


async def _end_time_limit(send: Send) -> None:
    """End BentoML's time limit of this call, which holds until the first message is sent.

    The server refuses a message of no known type, without any effect.
    """
    with suppress(RuntimeError):
        await send({"type": "bentoml_flags.begun"})


def _without_cors(send: Send) -> Send:
    """Return a `send` that removes `Vary: Origin`, which BentoML's CORS adds in both processes."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            vary = headers.get("vary", "").removesuffix("Origin").rstrip(", ")
            del headers["vary"]
            if vary:
                headers["vary"] = vary
        await send(message)

    return sending


class SkipForCalls:
    """A service's middleware, skipped for calls of a migrated service, which has it too."""

    def __init__(self, app: ASGIApp, *, outer: Any, options: dict[str, Any]) -> None:
        self._app = app
        self._outer: ASGIApp = outer(app, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the middleware, or skip it."""
        await (self._app if _CALL in scope else self._outer)(scope, receive, send)


class CallContext(ServiceContext):
    """The BentoML context of a side's APIs in its own process."""

    @contextmanager
    def in_request(self, request: Request) -> Iterator[ServiceContext]:
        """Set up the context for one request."""
        with super().in_request(request):
            call: WireCall | None = request.scope.get(_CALL)
            if call is not None and not call.runs_tasks:
                super().response.background = _OnlyClosing()
            yield self

    @property
    def request(self) -> Request:
        """Return the caller's request; the request itself if it is not a call."""
        own = super().request
        call: WireCall | None = own.scope.get(_CALL)
        if call is None or own.scope["headers"] is call.scope["headers"]:
            return own
        request = Request({**own.scope, **call.scope}, own.receive)
        request.metadata = request.headers  # type: ignore[attr-defined]  # as BentoML does
        return request


class _OnlyClosing(BackgroundTasks):
    """Background tasks of a shadow: only BentoML's own task, which closes the request, runs."""

    async def __call__(self) -> None:
        for task in self.tasks:
            if getattr(task.func, "__func__", None) is Request.close:
                await task()
