"""The schedule of shadows: they are gathered and run together between answers."""

import asyncio
import threading
from typing import Final

MAX_WAIT: Final = 0.25
"""Longest time in seconds that a shadow waits for answers to be sent. Sending a large answer to a
slow caller may take longer."""


class AnswerSent:
    """An event: the answer to a request was sent, or its caller has left."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Record that nothing more is sent to the caller."""
        self._event.set()

    async def wait(self) -> None:
        """Wait for the event, for `MAX_WAIT` seconds at most."""
        timer = asyncio.get_running_loop().call_later(MAX_WAIT, self._event.set)
        try:
            await self._event.wait()
        finally:
            timer.cancel()


class ShadowSchedule:
    """A schedule that gathers shadows and starts them while no answer is pending.

    Once the first shadow has waited for the interval, all gathered shadows start together: at once
    if no answer is pending, else when the last pending answer was sent, after `MAX_WAIT` at the
    latest. `max_gathered` shadows start without waiting. One after another, models and records find
    their code and data in the processor's caches; each alone, between other work, takes much
    longer.
    """

    def __init__(self, interval: float, max_gathered: int) -> None:
        """Gather for `interval` seconds, and at most `max_gathered` requests at a time."""
        self._interval = interval
        self._max_gathered = max_gathered
        self._pending_answers = 0
        self._gathered: list[asyncio.Future[None]] = []
        self._due = False
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._idle = threading.Event()
        self._idle.set()

    def answer_started(self) -> AnswerSent:
        """Count an answer as pending until the returned event is set."""
        self._pending_answers += 1
        self._idle.clear()
        return _ScheduledAnswer(self)

    def end(self) -> None:
        """Start all gathered shadows, and from now on each shadow at once."""
        self._ended = True
        self._begin()

    def wait_until_idle(self, within: float) -> bool:
        """Block a thread up to `within` seconds while an answer is pending; return whether none is.

        Unlike the other methods, it is called from threads of the sides.
        """
        return self._idle.wait(within)

    def _answer_sent(self) -> None:
        self._pending_answers -= 1
        if self._pending_answers:
            return
        self._idle.set()
        if self._due:
            self._begin()

    async def _wait_for_start(self) -> None:
        if self._ended:
            return
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[None] = loop.create_future()
        self._gathered.append(begun)
        if len(self._gathered) >= self._max_gathered:
            self._begin()
        elif self._timer is None:
            self._timer = loop.call_later(self._interval, self._fall_due)
        await begun

    def _fall_due(self) -> None:
        if not self._pending_answers:
            self._begin()
            return
        self._due = True
        self._timer = asyncio.get_running_loop().call_later(MAX_WAIT, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, False
        gathered, self._gathered = self._gathered, []
        for begun in gathered:
            if not begun.done():  # done: cancelled with the request's task
                begun.set_result(None)


class _ScheduledAnswer(AnswerSent):
    """The event of a request whose shadow waits for the schedule to start it."""

    def __init__(self, schedule: ShadowSchedule) -> None:
        self._schedule = schedule

    def set(self) -> None:
        self._schedule._answer_sent()

    async def wait(self) -> None:
        await self._schedule._wait_for_start()
