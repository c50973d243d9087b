"""Run a side's synchronous calls in threads of its own."""

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class _State(Enum):
    QUEUED = 1
    RUNNING = 2
    ABANDONED = 3
    ENDED = 4


class ThreadCall(Generic[T]):
    """One call handed to the threads of a side; `future` holds its result on the event loop."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.context = contextvars.copy_context()
        self.call = call
        self.state = _State.QUEUED

    def run(self) -> T:
        """Make the call, in the context in which it was submitted."""
        return self.context.run(self.call)

    def tell(self, value: T) -> None:
        """Hand the value to the event loop."""
        try:
            self.loop.call_soon_threadsafe(self._settle, value)
        except RuntimeError:
            # The loop closed while the call hung: nobody waits for the answer any more.
            return

    def _settle(self, value: T) -> None:
        if not self.future.done():
            self.future.set_result(value)


class SideThreads:
    """Run calls in at most `count` daemon threads, started on demand.

    Daemons, unlike the threads of `concurrent.futures`: a call that hangs for ever must not keep
    the worker from stopping.
    """

    def __init__(self, name: str, count: int = 1) -> None:
        self.count = count
        self._name = name
        self._calls: queue.SimpleQueue[ThreadCall[object] | None] = queue.SimpleQueue()
        self._started = 0
        self._unended = 0
        self._stuck = 0
        self._lock = threading.Lock()

    @property
    def all_stuck(self) -> bool:
        """Say whether abandoned calls hold every thread."""
        return self._stuck >= self.count

    def submit(self, call: Callable[[], T]) -> ThreadCall[T]:
        """Run `call`, which must not raise, in a thread and in the context of the caller."""
        submitted = ThreadCall(call)
        with self._lock:
            self._unended += 1
            if self._started < min(self._unended, self.count):
                self._started += 1
                name = f"{self._name}-{self._started}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        # Not under the lock, for which the thread that this wakes would have to wait.
        self._calls.put(submitted)  # type: ignore[arg-type]  # the queue holds calls of any type
        return submitted

    def abandon(self, submitted: ThreadCall[T]) -> None:
        """Wait no longer for a call: it is not begun if it has not been, and is stuck if it has."""
        with self._lock:
            if submitted.state is _State.RUNNING:
                self._stuck += 1
            if submitted.state is not _State.ENDED:  # it may end as its limit does
                submitted.state = _State.ABANDONED
        submitted.future.cancel()

    def close(self) -> None:
        """Let idle threads end; a thread in a call ends after it."""
        for _ in range(self._started):
            self._calls.put(None)

    def _work(self) -> None:
        while (submitted := self._calls.get()) is not None:
            if self._begun(submitted):
                value = submitted.run()
                # Last, since the loop wakes by it, and then wants what this thread holds.
                self._end(submitted)
                submitted.tell(value)

    def _begun(self, submitted: ThreadCall[object]) -> bool:
        with self._lock:
            if submitted.state is _State.ABANDONED:
                self._unended -= 1
                return False
            submitted.state = _State.RUNNING
            return True

    def _end(self, submitted: ThreadCall[object]) -> None:
        with self._lock:
            self._unended -= 1
            if submitted.state is _State.ABANDONED:
                self._stuck -= 1
            submitted.state = _State.ENDED
