"""An orderly end of an asyncio program on SIGINT or SIGTERM."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")


class Endings:
    """Handlers that turn SIGINT and SIGTERM into KeyboardInterrupt, never inside asyncio's code.

    `asyncio.run` handles SIGINT only after it has created its loop; an earlier signal leaves an
    unfinished loop, which warns when it is collected. A signal mask of the main thread would not
    help: Python runs handlers in the main thread, whichever thread gets the signal.
    """

    def __init__(self) -> None:
        self._running = False
        self._asked = False
        self._cancel: Callable[[], object] | None = None

    def install(self) -> None:
        """Install both handlers, also for SIGINT, which shells ignore in background jobs."""
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGTERM, self._end)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run `work` like `asyncio.run`; a signal cancels it, then KeyboardInterrupt is raised."""
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
