"""The dependencies of a side that is not the service that BentoML serves.

BentoML opens clients to dependencies only for the served service, and only BentoML's threads may
use these clients. A test with real processes checks the private parts of BentoML used here.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bentoml import Service

from flags.serving.bentoml_private import RemoteProxy


async def open_dependencies(service: Service[Any], instance: Any) -> None:
    """Open the instance's clients, for use on this event loop and in any other thread."""
    loop = asyncio.get_running_loop()

    def run(call: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(call(*args, **kwargs), loop).result()

    for name in service.dependencies:
        client = getattr(instance, name)
        if isinstance(client, RemoteProxy):
            await client.__aenter__()
            client.to_sync.run_async = run
