"""The threads of a side, for its synchronous calls."""

import asyncio
import contextvars
import queue
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from flags.pairing.call_queue import CallQueue, enqueue, in_background

T = TypeVar("T")

_GIVEN_WAY: Final = (0.001,) * 5
"""Seconds for which a call that nobody waits for lets an answer be made before it begins, unless a
call comes meanwhile for which somebody does."""

_HAS_WAITED: Final = 0.005
"""Seconds in the queue after which a brief call begins, whether answers are being made or not."""

_TOGETHER: Final = 0.02
"""Seconds for which a thread keeps results that nobody waits for, to report several at once."""


class _State(Enum):
    QUEUED = 1
    RUNNING = 2
    ABANDONED = 3
    ENDED = 4


class ThreadCall(Generic[T]):
    """One call handed to the threads of a side; `future` holds its result on the event loop."""

    def __init__(self, call: Callable[[], T], *, is_brief: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.context = contextvars.copy_context()
        self.call = call
        self.is_background = in_background.get()
        self.is_brief = is_brief
        self.submitted = time.monotonic()
        self.position = enqueue()
        self.state = _State.QUEUED
        self.value: T | None = None

    @property
    def has_ended(self) -> bool:
        """Say whether the value is there; the event loop may not have been told yet."""
        return self.state is _State.ENDED

    def run(self) -> None:
        """Make the call, in the context in which it was submitted."""
        self.value = self.context.run(self.call)

    def settle(self) -> None:
        """Hand the value to whoever waits for it; called on the event loop."""
        if not self.future.done():
            self.future.set_result(self.value)  # type: ignore[arg-type]  # it is there: it has run


class SideThreads:
    """Run calls in at most `count` daemon threads, started on demand.

    Daemons, unlike the threads of `concurrent.futures`: a call that hangs for ever must not keep
    the worker from stopping. Calls that nobody waits for let the others pass, and are reported
    together where there are several: the event loop does not interrupt them, one by one.
    """

    def __init__(
        self, name: str, count: int = 1, await_quiet: Callable[[float], bool] | None = None
    ) -> None:
        """Name the threads; `await_quiet` blocks while an answer is being made, for some seconds.

        It says whether none is. A call that nobody waits for asks it first: both need Python's
        lock.
        """
        self.count = count
        self._await_quiet = await_quiet
        self._name = name
        self._waiting: CallQueue[ThreadCall[Any]] = CallQueue()
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """One for each call that waits: true; false for a thread that is to end."""
        self._started = 0
        self._unended = 0
        self._stuck = 0
        self._lock = threading.Lock()

    @property
    def all_stuck(self) -> bool:
        """Say whether abandoned calls hold every thread."""
        return self._stuck >= self.count

    def submit(self, call: Callable[[], T], *, is_brief: bool = False) -> ThreadCall[T]:
        """Run `call`, which must not raise, in a thread and in the context of the caller.

        One that `is_brief` gives way to answers no longer than it has been in the queue. Else, as
        long as there is always an answer being made, each call waits for itself, and the thread
        begins fewer of them than come in.
        """
        submitted = ThreadCall(call, is_brief=is_brief)
        with self._lock:
            self._unended += 1
            if self._started < min(self._unended, self.count):
                self._started += 1
                name = f"{self._name}-{self._started}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        # Not under the lock, for which the thread that this wakes would have to wait.
        self._waiting.append(submitted)
        self._signals.put(True)
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
            self._signals.put(False)

    def _work(self) -> None:
        ended: list[ThreadCall[Any]] = []
        since = 0.0
        while self._has_call(ended):
            self._give_way()
            submitted = self._waiting.popleft()
            if not self._begun(submitted):
                continue
            submitted.run()
            # Before the loop is told, which then wants what this thread holds.
            self._end(submitted)
            now = time.monotonic()
            since = since if ended else now
            ended.append(submitted)
            if not submitted.is_background or now - since > _TOGETHER:
                _report(ended)

    def _has_call(self, ended: list[ThreadCall[Any]]) -> bool:
        """Wait for a call, or for the end, and report what has ended before that."""
        try:
            return self._signals.get_nowait()
        except queue.Empty:
            _report(ended)
            return self._signals.get()

    def _give_way(self) -> None:
        if self._await_quiet is None:
            return
        for seconds in _GIVEN_WAY:
            if self._is_urgent() or self._await_quiet(seconds):
                return

    def _is_urgent(self) -> bool:
        first = self._waiting.first()
        if first is None or not first.is_background:
            return True
        return first.is_brief and time.monotonic() - first.submitted > _HAS_WAITED

    def _begun(self, submitted: ThreadCall[Any]) -> bool:
        with self._lock:
            if submitted.state is _State.ABANDONED:
                self._unended -= 1
                return False
            submitted.state = _State.RUNNING
            submitted.position.in_line = False
            return True

    def _end(self, submitted: ThreadCall[Any]) -> None:
        with self._lock:
            self._unended -= 1
            if submitted.state is _State.ABANDONED:
                self._stuck -= 1
            submitted.state = _State.ENDED


def _report(ended: list[ThreadCall[Any]]) -> None:
    """Hand the values of these calls to their event loop, and empty the list."""
    if not ended:
        return
    told = tuple(ended)
    ended.clear()

    def settle() -> None:
        for each in told:
            each.settle()

    try:
        told[0].loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop closed while a call hung: nobody waits for the answers any more.
        return
