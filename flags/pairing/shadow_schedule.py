"""The schedule of shadows: they are gathered and run together between answers."""

import asyncio
import threading
from typing import Final

MAX_WAIT: Final = 0.25
"""Seconds for which a shadow waits for an answer to leave; a large one to a slow caller may take
longer."""


class AnswerSent:
    """An event: the answer to a request has been sent, or its caller has left."""

    def __init__(self) -> None:
        self._left = asyncio.Event()

    def happened(self) -> None:
        """Say that nothing more is sent to the caller."""
        self._left.set()

    async def awaited(self) -> None:
        """Return once it has happened, or after `MAX_WAIT`."""
        timer = asyncio.get_running_loop().call_later(MAX_WAIT, self._left.set)
        try:
            await self._left.wait()
        finally:
            timer.cancel()


class ShadowSchedule:
    """A schedule that starts gathered shadows when no answer is being made.

    Once the first has waited for an interval, all of them begin together: at once, if no answer is
    being made, and otherwise when the last of these has left, `MAX_WAIT` later at most. Many at a
    time do not wait for that. One after the other, models and records find their code and data in
    the processor's caches; each by itself, between other work, takes a good deal longer.
    """

    def __init__(self, interval: float, most: int) -> None:
        """Gather for `interval` seconds, and not more than `most` requests at a time."""
        self._interval = interval
        self._most = most
        self._being_made = 0
        self._gathered: list[asyncio.Future[None]] = []
        self._due = False
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self._quiet = threading.Event()
        self._quiet.set()

    def arrived(self) -> AnswerSent:
        """Say that an answer is being made, until the answer_sent returned has happened."""
        self._being_made += 1
        self._quiet.clear()
        return _Gathered(self)

    def end(self) -> None:
        """Let everything begin at once, from now on."""
        self._over = True
        self._begin()

    def await_quiet(self, within: float) -> bool:
        """Block a thread while an answer is being made; say whether none is, `within` seconds."""
        return self._quiet.wait(within)

    def _left(self) -> None:
        self._being_made -= 1
        if self._being_made:
            return
        self._quiet.set()
        if self._due:
            self._begin()

    async def _awaited(self) -> None:
        if self._over:
            return
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[None] = loop.create_future()
        self._gathered.append(begun)
        if len(self._gathered) >= self._most:
            self._begin()
        elif self._timer is None:
            self._timer = loop.call_later(self._interval, self._fall_due)
        await begun

    def _fall_due(self) -> None:
        if not self._being_made:
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
            if not begun.done():  # cancelled with the request's task
                begun.set_result(None)


class _Gathered(AnswerSent):
    """The `AnswerSent` of a request whose shadow the schedule starts."""

    def __init__(self, schedule: ShadowSchedule) -> None:
        self._schedule = schedule

    def happened(self) -> None:
        self._schedule._left()

    async def awaited(self) -> None:
        await self._schedule._awaited()
