"""A side in worker processes of its own, reached through BentoML's client."""

import json
import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

import pydantic
from bentoml import Service
from bentoml.exceptions import BentoMLException

from flags.serving.bentoml_private import APIMethod, IORootModel, RemoteProxy
from flags.serving.sides.binary_answers import is_file
from flags.serving.sides.context import SideContext, forwarded
from flags.serving.sides.placement import Instance
from flags.serving.sides.runner_client import RunnerClient

logger = logging.getLogger(__name__)


class RunnerSide:
    """A side in worker processes of its own, reached through BentoML's client."""

    def __init__(self, service: Service[Any], proxy: Instance) -> None:
        """Reach `service` by `proxy`, what `bentoml.depends` resolves to in a running worker."""
        self._service = service
        self._proxy = proxy
        self._folder: str | None = None

    async def start(self) -> None:
        """Set the proxy up, without waiting for the other process."""
        self._folder = tempfile.mkdtemp(prefix="bentoml-flags-")
        if isinstance(self._proxy, RemoteProxy):
            await self._proxy.__aenter__()

    async def stop(self) -> None:
        """Close the proxy."""
        if isinstance(self._proxy, RemoteProxy):
            await self._proxy.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:
        """Return a call of `api` in the other process."""
        client = self._proxy.to_async
        if not isinstance(self._proxy, RemoteProxy):
            remote = getattr(client, api.name)
        elif api.is_stream:
            remote = RunnerClient(client, api).items
        elif is_file(api.output_spec):
            remote = RunnerClient(client, api, self._folder if read else None).file
        elif api.ctx_param is None:
            remote = getattr(client, api.name)
        else:
            remote = _with_headers(client, api.name, api.ctx_param)
        return _stream(api, remote) if api.is_stream else _call(api, remote)

    async def is_ready(self) -> bool:
        """Ask the other process."""
        if not isinstance(self._proxy, RemoteProxy):
            return True
        try:
            return bool(await self._proxy.is_ready(5))
        except Exception as error:  # the process is not there
            logger.debug("%s is not ready: %s", self._service.name, error)
            return False


def _call(api: APIMethod[..., Any], remote: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await remote(*(_sendable(api, value) for value in args), **kwargs)
        except BentoMLException as error:
            raise _unwrapped(error) from None

    return call


def _stream(api: APIMethod[..., Any], remote: Callable[..., Any]) -> Callable[..., Any]:
    async def items(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        try:
            async with aclosing(remote(*(_sendable(api, each) for each in args), **kwargs)) as own:
                async for item in own:
                    yield item
        except BentoMLException as error:
            raise _unwrapped(error) from None

    return items


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
