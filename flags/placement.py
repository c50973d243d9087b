"""Put each side where it runs: in processes of its own, or in the API worker's threads."""

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Protocol

import pydantic
from _bentoml_impl.client import RemoteProxy
from _bentoml_sdk.io_models import IORootModel
from _bentoml_sdk.method import APIMethod
from bentoml import Service
from bentoml.exceptions import BentoMLException

from flags.assignment import Side
from flags.side_context import SideContext, forwarded

logger = logging.getLogger(__name__)

Instance = Any
"""An instance of a service's class, or a proxy that has its methods."""


class Placement(StrEnum):
    """Where both models run."""

    RUNNERS = "runners"
    """Each model in its own BentoML worker processes: isolation, batching, GPUs, other machines."""
    ISOLATED = "isolated"
    """Each in a process beside each API worker, reached by a pipe: isolation at less CPU."""
    EMBEDDED = "embedded"
    """Both in the API worker: a fraction of the CPU, but a crash takes the worker with it."""


class PlacedSide(Protocol):
    """One side, ready to be called."""

    async def start(self) -> None:
        """Make the side ready; raises what its model raises."""

    async def stop(self) -> None:
        """Let the side clean up."""

    def model(self, api: APIMethod[..., Any]) -> Callable[..., Any]:
        """Return what answers `api`; its `ctx` keyword, if any, is a SideContext."""

    async def is_ready(self) -> bool:
        """Say whether the side can answer."""


class EmbeddedSide:
    """A side in this process: its service's class is instantiated here, hooks included."""

    def __init__(self, side: Side, service: Service[Any]) -> None:
        self._side = side
        self._service = service
        self._instance: Instance = None
        self._failure: Exception | None = None

    async def start(self) -> None:
        """Instantiate the service; a candidate that cannot be loaded fails each request instead."""
        try:
            self._instance = self._service()
            await run_hooks(self._service, self._instance, "__bentoml_startup_hook__")
        except Exception as error:
            if self._side is Side.PRIMARY:
                raise
            logger.exception("the candidate %s could not be loaded", self._service.name)
            self._instance, self._failure = None, error

    async def stop(self) -> None:
        """Run the service's shutdown hooks."""
        if self._instance is not None:
            await run_hooks(self._service, self._instance, "__bentoml_shutdown_hook__")

    def model(self, api: APIMethod[..., Any]) -> Callable[..., Any]:
        """Return the bound method behind `api`."""
        if self._instance is None:
            return self._refuse
        method: Callable[..., Any] = getattr(self._instance, api.name).local
        if inspect.iscoroutinefunction(api.func):

            async def call(*args: Any, **kwargs: Any) -> Any:
                return await method(*args, **kwargs)

            return call
        return method

    async def is_ready(self) -> bool:
        """Ask the service's own `__is_ready__`, if it has one."""
        probe = getattr(self._instance, "__is_ready__", None)
        if probe is None:
            return self._instance is not None
        return bool(await probe() if inspect.iscoroutinefunction(probe) else probe())

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{self._service.name} could not be loaded") from self._failure


class RunnerSide:
    """A side in worker processes of its own, reached through BentoML's client."""

    def __init__(self, service: Service[Any], proxy: Instance) -> None:
        """Reach `service` by `proxy`, what `bentoml.depends` resolves to in a running worker."""
        self._service = service
        self._proxy = proxy

    async def start(self) -> None:
        """Set the proxy up, without waiting for the other process."""
        if isinstance(self._proxy, RemoteProxy):
            await self._proxy.__aenter__()

    async def stop(self) -> None:
        """Close the proxy."""
        if isinstance(self._proxy, RemoteProxy):
            await self._proxy.close()

    def model(self, api: APIMethod[..., Any]) -> Callable[..., Any]:
        """Return a call of `api` in the other process."""
        client = self._proxy.to_async
        if api.ctx_param is None or not isinstance(self._proxy, RemoteProxy):
            remote = getattr(client, api.name)
        else:
            remote = _with_headers(client, api.name, api.ctx_param)

        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return await remote(*(_sendable(api, value) for value in args), **kwargs)
            except BentoMLException as error:
                raise _unwrapped(error) from None

        return call

    async def is_ready(self) -> bool:
        """Ask the other process."""
        if not isinstance(self._proxy, RemoteProxy):
            return True
        try:
            return bool(await self._proxy.is_ready(5))
        except Exception as error:  # the process is not there
            logger.debug("%s is not ready: %s", self._service.name, error)
            return False


def _sendable(api: APIMethod[..., Any], value: Any) -> Any:
    """Return an argument as BentoML's client takes it: a model that is the body, as a dict."""
    if isinstance(value, pydantic.BaseModel) and not issubclass(api.input_spec, IORootModel):
        return value.model_dump(by_alias=True)
    return value


def _unwrapped(error: BentoMLException) -> BentoMLException:
    """Return the error that the other process answered with, without its wrapping in JSON."""
    try:
        content = json.loads(str(error))
        message = (content[0] if isinstance(content, list) else content)["error"]
    except (ValueError, LookupError, TypeError):
        return error
    return type(error)(message, error_code=error.error_code)


def _with_headers(client: Any, name: str, parameter: str) -> Callable[..., Any]:
    """Return a call that carries the context's headers to the model's process and back.

    BentoML's client offers no public way: its `_call` takes headers, and its `_parse_response` is
    the one place that sees those of the answer. A test over real processes holds both in place.
    """
    carried: ContextVar[SideContext | None] = ContextVar("carried", default=None)
    parse = client._parse_response

    async def parse_and_keep(endpoint: Any, response: Any) -> Any:
        context = carried.get()
        if context is not None:
            context.response.status_code = response.status
            context.response.metadata.update(forwarded(response.headers))
        return await parse(endpoint, response)

    client._parse_response = parse_and_keep

    async def call(*args: Any, **kwargs: Any) -> Any:
        context: SideContext = kwargs.pop(parameter)
        carried.set(context)  # each call runs in a task of its own
        headers = forwarded(context.request.headers)
        return await client._call(client.endpoints[name], args, kwargs, headers=headers)

    return call


async def run_hooks(service: Service[Any], instance: Instance, mark: str) -> None:
    """Run the hooks of `service` that carry `mark`."""
    for name in dir(service.inner):
        member = getattr(service.inner, name)
        if not name.startswith("__") and callable(member) and getattr(member, mark, False):
            result: Awaitable[None] | None = getattr(instance, name)()
            if inspect.isawaitable(result):
                await asyncio.ensure_future(result)
