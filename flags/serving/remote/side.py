"""The side of a candidate that is a deployment of its own."""

import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from flags.monitoring.worker_state import CandidateState
from flags.serving.batch_method import BatchMethod
from flags.serving.bentoml_private import APIMethod
from flags.serving.remote.address import Remote
from flags.serving.remote.batch import remote_batch
from flags.serving.remote.client import RemoteClient
from flags.serving.remote.connections import Connections
from flags.serving.remote.link import LocalProcess, RemoteLink
from flags.serving.remote.link_settings import LinkSettings
from flags.serving.sides.context import CONTEXT, SideContext


class RemoteSide:
    """A side that is another server; if that cannot be used, only its calls fail."""

    def __init__(
        self,
        remote: Remote,
        apis: Sequence[APIMethod[..., Any]],
        settings: LinkSettings,
        *,
        connections: int,
        process: LocalProcess | None = None,
    ) -> None:
        """Reach `remote`, which must have `apis`, by at most `connections` connections."""
        self._link = RemoteLink(remote, apis, settings, process=process)
        self._connections = Connections(connections)
        self._folder: str | None = None

    async def start(self) -> None:
        """Connect and check the server once; it may be unavailable."""
        self._folder = tempfile.mkdtemp(prefix="bentoml-flags-")
        await self._link.start()

    async def stop(self) -> None:
        """Close the connections."""
        await self._link.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:
        """Return a function that calls `api` of the server."""
        client = RemoteClient(self._link, self._connections, api, self._folder if read else None)
        return _stream(client) if api.is_stream else _call(client)

    def batch_model(self, method: BatchMethod) -> Callable[[Any], Any]:
        """Return a function that calls the server's batch method."""
        return remote_batch(self._link, self._connections, method)

    async def is_ready(self) -> bool:
        """Say whether the server can be called."""
        return self._link.is_ready

    def process_ended(self, reason: str) -> None:
        """Record that the worker's process of this side has ended."""
        self._link.process_ended(reason)

    async def process_loaded(self, model: str | None) -> None:
        """Check a process that has just loaded; `model` is the tag of its models, if it has any."""
        await self._link.process_loaded(model)

    @property
    def tag(self) -> str:
        """Return the tag of the model."""
        return self._link.model

    def report(self) -> CandidateState:
        """Return the state for operators."""
        return self._link.report()


def _call(client: RemoteClient) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        context: SideContext = kwargs.pop(CONTEXT)
        return await client.answer(context, *args, **kwargs)

    return call


def _stream(client: RemoteClient) -> Callable[..., Any]:
    async def items(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        context: SideContext = kwargs.pop(CONTEXT)
        async with aclosing(client.items(context, *args, **kwargs)) as own:
            async for item in own:
                yield item

    return items
