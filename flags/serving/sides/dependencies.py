"""The dependencies of a side that BentoML does not serve by itself.

BentoML opens its clients to them for the service that it serves, and only its own threads may use
those clients. A test over real processes holds what is used here in place.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bentoml import Service

from flags.serving.bentoml_private import RemoteProxy


async def open_dependencies(service: Service[Any], instance: Any) -> None:
    """Open the instance's clients, for use on this event loop and in any thread beside it."""
    loop = asyncio.get_running_loop()

    def run(call: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(call(*args, **kwargs), loop).result()

    for name in service.dependencies:
        client = getattr(instance, name)
        if isinstance(client, RemoteProxy):
            await client.__aenter__()
            client.to_sync.run_async = run
