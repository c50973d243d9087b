"""A side in worker processes of its own, reached through BentoML's client."""

import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import aiohttp
from bentoml import Service

from flags.serving.batch_method import BatchMethod, method_of, read_rows
from flags.serving.bentoml_private import APIMethod, IORootModel, RemoteProxy
from flags.serving.sides.context import CONTEXT, SideContext, batch_context
from flags.serving.sides.placement import Instance
from flags.serving.sides.runner_client import RunnerClient, new_session

logger = logging.getLogger(__name__)


class RunnerSide:
    """A side in worker processes of its own, reached through BentoML's client."""

    def __init__(
        self, service: Service[Any], proxy: Callable[[], Instance], *, shadow_tasks: bool = False
    ) -> None:
        """Reach `service` by the result of `proxy`: what `bentoml.depends` resolves to."""
        self._service = service
        self._resolve = proxy
        self._resolved: Instance = None
        self._shadow_tasks = shadow_tasks
        self._folder: str | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def instance(self) -> Instance:
        """Return the proxy; the service's instance if no other process runs, as in a unit test."""
        if self._resolved is None:
            self._resolved = self._resolve()
        return self._resolved

    @property
    def is_remote(self) -> bool:
        """Say whether there is another process."""
        return isinstance(self.instance, RemoteProxy)

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return the session to the other process."""
        if self._session is None:
            self._session = new_session(self.instance.to_async)
        return self._session

    async def start(self) -> None:
        """Set up the proxy, without waiting for the other process."""
        self._folder = tempfile.mkdtemp(prefix="bentoml-flags-")
        if self.is_remote:
            await self.instance.__aenter__()

    async def stop(self) -> None:
        """Close the proxy."""
        if self._session is not None:
            await self._session.close()
        if self.is_remote:
            await self.instance.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:
        """Return a function that calls `api` in the other process."""
        client = self.instance.to_async
        if not self.is_remote:
            return _local(api, getattr(client, api.name))
        folder = self._folder if read else None
        remote = RunnerClient(client, self.session, api, folder, shadow_tasks=self._shadow_tasks)
        return _stream(remote) if api.is_stream else _call(remote)

    def batch_model(self, method: BatchMethod) -> Callable[[Any], Any]:
        """Return a function that calls the method, which is an API, in the other process."""
        api = method.own
        if api is None or not self.is_remote:
            local: Callable[[Any], Any] = method_of(self.instance, method)
            return local
        remote = RunnerClient(self.instance.to_async, self.session, api)

        async def call(joined: Any) -> Any:
            context = batch_context(api.route)
            if issubclass(api.input_spec, IORootModel):
                outcome = await remote.answer(context, api.input_spec(joined).root)
            else:
                name = str(*api.input_spec.model_fields)
                inputs = getattr(api.input_spec(**{name: joined}), name)
                outcome = await remote.answer(context, **{name: inputs})
            if method.joins:
                return outcome
            return replace(outcome, value=read_rows(outcome.value, method))

        return call

    async def is_ready(self) -> bool:
        """Ask the other process."""
        return await self._is_ok(self._probe_path("readyz"))

    async def is_alive(self) -> bool:
        """Ask the other process."""
        return await self._is_ok(self._probe_path("livez"))

    async def metrics(self, text: str) -> str:
        """Return the other process's metrics, which include those of all processes."""
        if not self.is_remote:
            return text
        prefix = self._service.path_prefix or ""
        async with self.session.get(f"{prefix}/metrics") as response:
            return await response.text()

    def _probe_path(self, name: str) -> str:
        path: str = self._service.config.get("endpoints", {}).get(name, f"/{name}")
        return path

    async def _is_ok(self, path: str) -> bool:
        if not self.is_remote:
            return True
        try:
            async with self.session.get(path, timeout=aiohttp.ClientTimeout(5)) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError) as error:  # the process is not there
            logger.debug("%s does not answer %s: %s", self._service.name, path, error)
            return False


def _call(remote: RunnerClient) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        context: SideContext = kwargs.pop(CONTEXT)
        return await remote.answer(context, *args, **kwargs)

    return call


def _stream(remote: RunnerClient) -> Callable[..., Any]:
    async def items(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        context: SideContext = kwargs.pop(CONTEXT)
        async with aclosing(remote.items(context, *args, **kwargs)) as own:
            async for item in own:
                yield item

    return items


def _local(api: APIMethod[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `method` of a side in this process, which gets a context only if its API takes one."""

    def keywords(kwargs: dict[str, Any]) -> dict[str, Any]:
        context = kwargs.pop(CONTEXT)
        return kwargs if api.ctx_param is None else {**kwargs, api.ctx_param: context}

    async def call(*args: Any, **kwargs: Any) -> Any:
        return await method(*args, **keywords(kwargs))

    async def items(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        async for item in method(*args, **keywords(kwargs)):
            yield item

    return items if api.is_stream else call
