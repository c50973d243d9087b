"""The threads of a side, for its synchronous calls."""

import asyncio
import contextvars
import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from flags.pairing.call_queue import CallQueue, enqueue, in_background

T = TypeVar("T")

ThreadContext = Callable[[asyncio.AbstractEventLoop], AbstractContextManager[None]]
"""Return what a thread runs within."""

_IDLE_WAITS: Final = (0.001,) * 5
"""Waits, in seconds, of a background call before it begins while an answer is pending. A caller's
call ends them."""

_MAX_BRIEF_WAIT: Final = 0.005
"""Seconds in the queue after which a brief call begins even if answers are pending."""

_REPORT_INTERVAL: Final = 0.02
"""Seconds for which a thread collects results of background calls, to report them together."""


class _State(Enum):
    QUEUED = 1
    RUNNING = 2
    ABANDONED = 3
    ENDED = 4


class ThreadCall(Generic[T]):
    """One call submitted to the threads of a side; `future` gets its result on the event loop."""

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
        """Say whether `value` is set; `future` may get it later."""
        return self.state is _State.ENDED

    def run(self) -> None:
        """Make the call, in the context in which it was submitted."""
        self.value = self.context.run(self.call)

    def settle(self) -> None:
        """Set the future's result; called on the event loop."""
        if not self.future.done():
            self.future.set_result(self.value)  # type: ignore[arg-type]  # set: the call has run


class SideThreads:
    """Run calls in at most `count` daemon threads, started on demand.

    The threads are daemons, unlike those of `concurrent.futures`: a call that hangs for ever must
    not keep the worker from stopping. Background calls run after all other calls. Their results
    are reported together, so that the event loop does not interrupt the thread after each call.
    """

    def __init__(
        self,
        name: str,
        count: int = 1,
        wait_until_idle: Callable[[float], bool] | None = None,
        prepared: ThreadContext | None = None,
    ) -> None:
        """Name the threads; each of them runs within `prepared`, which gets its event loop.

        A background call calls `wait_until_idle(seconds)` before it begins, because it competes
        with a pending answer for Python's lock (GIL). See `ShadowSchedule.wait_until_idle`.
        """
        self.count = count
        self._wait_until_idle = wait_until_idle
        self._prepared = prepared or (lambda _: nullcontext())
        self._name = name
        self._waiting: CallQueue[ThreadCall[Any]] = CallQueue()
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """True for each call in the queue; False for each thread that must end."""
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

        A brief call waits for pending answers only until it was in the queue for
        `_MAX_BRIEF_WAIT`. Otherwise, if there is always a pending answer, each call would wait, and
        the thread would begin fewer calls than arrive.
        """
        submitted = ThreadCall(call, is_brief=is_brief)
        with self._lock:
            self._unended += 1
            if self._started < min(self._unended, self.count):
                self._started += 1
                name = f"{self._name}-{self._started}"
                threading.Thread(
                    target=self._work, args=(submitted.loop,), name=name, daemon=True
                ).start()
        # Outside of the lock, because the thread that this wakes needs the lock.
        self._waiting.append(submitted)
        self._signals.put(True)
        return submitted

    def abandon(self, submitted: ThreadCall[T]) -> None:
        """Stop waiting for a call: it never begins if still queued, and is stuck if running."""
        with self._lock:
            if submitted.state is _State.RUNNING:
                self._stuck += 1
            if submitted.state is not _State.ENDED:  # it may end just as its time limit does
                submitted.state = _State.ABANDONED
        submitted.future.cancel()

    def close(self) -> None:
        """End idle threads; a thread in a call ends after it."""
        for _ in range(self._started):
            self._signals.put(False)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._prepared(loop):
            self._make_calls()

    def _make_calls(self) -> None:
        ended: list[ThreadCall[Any]] = []
        since = 0.0
        while self._has_call(ended):
            self._wait_for_answers()
            submitted = self._waiting.popleft()
            if not self._begin(submitted):
                continue
            submitted.run()
            # Before the report, after which the event loop needs the lock.
            self._end(submitted)
            now = time.monotonic()
            since = since if ended else now
            ended.append(submitted)
            if not submitted.is_background or now - since > _REPORT_INTERVAL:
                _report(ended)

    def _has_call(self, ended: list[ThreadCall[Any]]) -> bool:
        """Wait for a call and return True, or False if the thread must end.

        Reports the calls in `ended` before it waits.
        """
        try:
            return self._signals.get_nowait()
        except queue.Empty:
            _report(ended)
            return self._signals.get()

    def _wait_for_answers(self) -> None:
        """Wait while answers are pending, unless the next call is urgent."""
        if self._wait_until_idle is None:
            return
        for seconds in _IDLE_WAITS:
            if self._is_urgent() or self._wait_until_idle(seconds):
                return

    def _is_urgent(self) -> bool:
        first = self._waiting.first()
        if first is None or not first.is_background:
            return True
        return first.is_brief and time.monotonic() - first.submitted > _MAX_BRIEF_WAIT

    def _begin(self, submitted: ThreadCall[Any]) -> bool:
        """Mark a call as running; return False if it was abandoned."""
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
    """Set the futures of these calls on their event loop, and empty the list."""
    if not ended:
        return
    calls = tuple(ended)
    ended.clear()

    def settle() -> None:
        for each in calls:
            each.settle()

    try:
        calls[0].loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop was closed while a call hung, so no caller waits for the answers.
        return
