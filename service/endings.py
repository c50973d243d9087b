"""An orderly end of an asyncio program on SIGINT or SIGTERM."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")


class Endings:
    """Make SIGINT and SIGTERM raise KeyboardInterrupt, but in the midst of asyncio's machinery.

    `asyncio.run` handles SIGINT once its loop is made; one that comes earlier leaves half a loop
    behind, which complains when it is collected. Python runs handlers in the main thread whatever
    thread a signal reaches, so a signal mask of the main thread would not hold them back.
    """

    def __init__(self) -> None:
        self._running = False
        self._asked = False
        self._cancel: Callable[[], object] | None = None

    def install(self) -> None:
        """Take both signals over; a shell ignores SIGINT for what it starts in the background."""
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGTERM, self._end)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do as `asyncio.run`; a signal cancels the work, and is raised once the loop is closed."""
        self._running = True
        try:
            result = asyncio.run(self._cancellable(work))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            self._running = False
        if self._asked:
            raise KeyboardInterrupt
        return result

    async def _cancellable(self, work: Coroutine[Any, Any, Result]) -> Result:
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self._asked:
            self._cancel()
        try:
            return await task
        finally:
            self._cancel = None

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        if not self._running:
            raise KeyboardInterrupt
        self._asked = True
        if self._cancel is not None:
            self._cancel()
