"""A limit on concurrent calls of a server; further calls wait, callers before shadows."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from flags.pairing.call_queue import CallQueue, enqueue, in_background


class _Waiting:
    """A call that waits for a connection."""

    def __init__(self) -> None:
        self.is_background = in_background.get()
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Connections:
    """Allow `maximum` calls at the same time."""

    def __init__(self, maximum: int) -> None:
        self._free = maximum
        self._waiting: CallQueue[_Waiting] = CallQueue()

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None, None]:
        """Wait for a connection and hold it inside the block; until then the call is queued."""
        if self._free:
            self._free -= 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self._release()

    async def _wait(self) -> None:
        position = enqueue()
        call = _Waiting()
        self._waiting.append(call)
        try:
            await call.turn
        except asyncio.CancelledError:
            if call.turn.done() and not call.turn.cancelled():  # set just before cancellation
                self._release()
            raise
        position.in_line = False

    def _release(self) -> None:
        while self._waiting.first() is not None:
            call = self._waiting.popleft()
            if not call.turn.done():
                call.turn.set_result(None)
                return
        self._free += 1
