"""Threads in which the synchronous APIs of a service run, as those of BentoML."""

import asyncio
from contextlib import AbstractContextManager


def as_worker_thread(loop: asyncio.AbstractEventLoop) -> AbstractContextManager[None]:
    """Let the current thread call coroutines on `loop` by `anyio.from_thread`.

    BentoML runs synchronous APIs in threads of anyio, in which models may do so. anyio has no
    public name for it.
    """
    from anyio._core._eventloop import claim_worker_thread, get_async_backend

    return claim_worker_thread(get_async_backend("asyncio"), loop)
