"""Steady load on a running service, sent by a thread that keeps every answer."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp

_MAX_WAIT: Final = 40.0
"""Seconds for which a caller waits; longer than any time limit of the service."""
_LEAVES_WITHIN: Final = 0.008
"""Seconds within which an impatient caller disconnects; about the duration of an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One request as its caller saw it. Times are seconds of the wall clock."""

    request_id: str
    sent: Any
    """The body of the request."""
    status: int
    """HTTP status; 0 if the connection failed."""
    side: str | None
    """The side in the response's header."""
    got: Any
    """The body of the answer."""
    began: float
    ended: float
    left: bool = False
    """Whether the caller disconnected before the answer."""


class SteadyLoad:
    """Requests that begin at equal intervals, however long their answers take.

    `url` is that of the API; `body` returns the body of a request by its number. Each request has a
    connection of its own, so that all workers get some. `rate` (requests per second), `callers` and
    `hanging_up` may be changed at any time. With `callers`, there are always as many concurrent
    requests, whatever the rate. `hanging_up` is the share of callers that disconnect early.
    """

    def __init__(self, url: str, body: Callable[[int], Any], *, rate: float) -> None:
        self.rate = rate
        self.callers = 0
        self.hanging_up = 0.0
        self.replies: list[Reply] = []
        self.url = url
        self._body = body
        self._sent = 0
        self._chance = random.Random(0)
        self._ending = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._go()), name="load")

    def taken(self) -> list[Reply]:
        """Return the replies so far, and clear them."""
        count = len(self.replies)
        replies = self.replies[:count]
        del self.replies[:count]
        return replies

    def since(self, when: float) -> list[Reply]:
        """Return the replies so far to requests that began after `when`."""
        return [reply for reply in list(self.replies) if reply.began >= when]

    def answered_per_second(self, seconds: float) -> float:
        """Return the answers per second to requests that began in the last `seconds`."""
        answered = [reply for reply in self.since(time.time() - seconds) if reply.status == 200]
        return len(answered) / seconds

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop sending, and wait for requests in progress."""
        self._ending = True
        self._thread.join()

    async def _go(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=_MAX_WAIT)
        under_way: set[asyncio.Task[None]] = set()
        due = time.perf_counter()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while not self._ending:
                if self.callers:
                    await asyncio.sleep(0.001)
                    due = time.perf_counter()
                    if len(under_way) >= self.callers:
                        continue
                else:
                    due += 1 / self.rate
                    await asyncio.sleep(due - time.perf_counter())
                task = asyncio.create_task(self._ask(session))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        number, self._sent = self._sent, self._sent + 1
        request_id, sent = f"request-{number}", self._body(number)
        leaves = self._chance.random() < self.hanging_up
        within = self._chance.uniform(0, _LEAVES_WITHIN) if leaves else None
        began = time.time()
        status, side, got = 0, None, None
        try:
            async with asyncio.timeout(within):
                status, side, got = await self._answer(session, request_id, sent)
                leaves = False  # the answer was quicker
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        self.replies.append(Reply(request_id, sent, status, side, got, began, time.time(), leaves))

    async def _answer(
        self, session: aiohttp.ClientSession, request_id: str, sent: Any
    ) -> tuple[int, str | None, Any]:
        async with session.post(
            self.url, json=sent, headers={"X-Request-Id": request_id}
        ) as response:
            text = await response.read()
            try:
                got = json.loads(text)
            except ValueError:
                got = text
            return response.status, response.headers.get("X-Model-Side"), got
