"""Background tasks of calls, kept until the worker says that the answer was served."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from starlette.background import BackgroundTask

_KEPT: Final = 60.0
"""Seconds after which tasks are dropped, such as those of a shadow."""


class PendingTasks:
    """Background tasks by the key of their call. All methods run on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, list[BackgroundTask]] = {}
        self._served: set[int] = set()
        self._running: set[asyncio.Task[None]] = set()

    def keep(self, key: int, tasks: list[BackgroundTask]) -> None:
        """Keep `tasks`, or run them if their answer was already served."""
        if key in self._served:
            self._served.discard(key)
            self.start(_run(tasks))
            return
        self._tasks[key] = tasks
        self._loop.call_later(_KEPT, self._tasks.pop, key, None)

    def served(self, key: int) -> None:
        """Run the tasks of `key` now, or as soon as they are added."""
        tasks = self._tasks.pop(key, None)
        if tasks is not None:
            self.start(_run(tasks))
            return
        self._served.add(key)
        self._loop.call_later(_KEPT, self._served.discard, key)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` to its end, in the background."""
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _run(tasks: list[BackgroundTask]) -> None:
    for task in tasks:
        await task()
