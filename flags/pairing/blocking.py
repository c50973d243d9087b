"""A pairing for synchronous code."""

import asyncio
import threading

from flags.pairing.delivery import Answer
from flags.pairing.pairing import Pairing
from flags.pairing.request import Request


class BlockingPairing:
    """Answer requests from any thread: the pairing runs on an event loop in a thread of its own."""

    def __init__(self, pairing: Pairing) -> None:
        self._pairing = pairing
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pairing", daemon=True)
        self._thread.start()

    def answer(self, request: Request) -> Answer:
        """Return the answer to `request`; raises as `Pairing.answer` does."""
        return asyncio.run_coroutine_threadsafe(self._pairing.answer(request), self._loop).result()

    def close(self, timeout: float = 5.0) -> int:
        """Wait up to `timeout` seconds for unfinished pairs; stop, and return how many remain."""
        left = asyncio.run_coroutine_threadsafe(self._pairing.drain(timeout), self._loop).result()
        self._pairing.close()
        asyncio.run_coroutine_threadsafe(_cancel_remaining(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        return left

    def __enter__(self) -> "BlockingPairing":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _cancel_remaining() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=1.0)
