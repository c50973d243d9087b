"""One side's stream under time limits, with the digest of its items."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import pydantic_core

from flags.errors import CallerLeftError, SideStuckError
from flags.pairing.assignment import Side
from flags.pairing.call import CallResult, raisable
from flags.pairing.call_queue import QueuePosition, current_position
from flags.pairing.observation import Status
from flags.pairing.scorer import busy
from flags.pairing.streams.digest import StreamDigest
from flags.pairing.streams.items import END, AsyncItems, ItemSource

_CLOSE_TIMEOUT: Final = 1.0
"""Seconds that a model gets to stop when no more items are taken from its stream."""

_unfinished: set[asyncio.Task[None]] = set()
"""Tasks that close streams; the event loop itself holds no reference to tasks."""

Encode = Callable[[Any], str | bytes]
"""Return the content to send for an item; raise if it cannot be sent."""


def encode_item(item: Any) -> str | bytes:
    """Return texts and bytes as they are, anything else as JSON."""
    if isinstance(item, str | bytes):
        return item
    return pydantic_core.to_json(item)


class SideStream:
    """One side's stream on one request, consumed by a caller or in the background.

    The next item is requested only after the last one was sent. `ended` is done when no more items
    will be taken: the end was reached, an item failed, or the caller left.
    """

    def __init__(
        self, side: Side, source: ItemSource, digest: StreamDigest, encode: Encode
    ) -> None:
        self.side = side
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = Status.OK
        self.error: BaseException | None = None
        self.seconds: float | None = None
        """Seconds that the items have taken so far."""
        self.first_item: float | None = None
        self.digest = digest
        self._source = source
        self._position = QueuePosition()
        self._next_item: asyncio.Future[CallResult] | None = None
        self._encode = encode
        self._item: Any = None
        self._sent: str | bytes = b""
        self._item_limit: float | None = None

    @property
    def complete(self) -> bool:
        """Say whether the end was reached."""
        return self.ended.done() and self.error is None

    async def begin(self, limit: float | None, *, item_limit: float | None = None) -> bool:
        """Request the first item, hold it, and return whether it came within `limit` seconds.

        A stream that ends without an item has begun as well. `item_limit` is the time limit in
        seconds of each further item that a caller waits for.
        """
        self._item_limit = item_limit
        current_position.set(self._position)
        if limit is not None and self._source.stuck:
            self.fail(Status.SHED, SideStuckError(f"the {self.side} hangs"))
        if not self.ended.done():
            await self._take(limit)
        return self.status is Status.OK

    async def items(self, *, encoded: bool = True) -> AsyncGenerator[Any, None]:
        """Yield the encoded items, the held one first; raise the model's error if an item fails.

        Without `encoded`, yield the items as the model made them.
        """
        try:
            while not self.ended.done():
                yield self._sent if encoded else self._item
                await self._take(self._item_limit)
            if self.error is not None:
                raise raisable(self.error)
        finally:
            self.leave()

    async def consume(self, within: float) -> None:
        """Take the remaining items within `within` seconds, without a caller."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while not self.ended.done():
            await self._take(max(0.0, deadline - loop.time()))

    def expire(self, limit: float) -> None:
        """End as timed out: the current item has taken `limit` seconds.

        A stream whose first item never began is shed instead.
        """
        self._source.give_up()
        if self._position.in_line and self.seconds is None:
            self.fail(Status.SHED, busy(self.side, limit))
            return
        self.seconds = (self.seconds or 0.0) + limit
        self.fail(Status.TIMEOUT, TimeoutError(f"the {self.side} took longer than {limit} s"))

    @property
    def is_async(self) -> bool:
        """Say whether its items are made on the event loop, where they can be cancelled."""
        return isinstance(self._source, AsyncItems)

    def give_up(self, error: BaseException) -> None:
        """End as timed out with `error`, and abandon the current item."""
        self._source.give_up()
        self.fail(Status.TIMEOUT, error)

    def leave(self) -> None:
        """End the stream because its caller left, unless it has ended before."""
        if not self.ended.done():
            self._end(Status.OK, CallerLeftError("the caller left before the end"))

    def fail(self, status: Status, error: BaseException) -> None:
        """End as failed, unless the stream has ended before."""
        if not self.ended.done():
            self._end(status, error)

    async def close(self) -> None:
        """Stop the model before its end; wait up to a second for that.

        The current item keeps its time limit, and the model stops after it.
        """
        if self.complete or self._next_item is None:
            return
        closing = asyncio.create_task(self._close())
        _unfinished.add(closing)
        closing.add_done_callback(_unfinished.discard)
        await asyncio.wait({closing}, timeout=_CLOSE_TIMEOUT)

    async def _close(self) -> None:
        if self.status in (Status.TIMEOUT, Status.SHED):  # abandoned: it may never end
            return
        closing = asyncio.create_task(self._source.close())
        done, _ = await asyncio.wait({closing}, timeout=self._item_limit)
        if not done:
            self._source.give_up()
            closing.cancel()

    async def _take(self, limit: float | None) -> None:
        self._next_item = self._source.next()
        done, _ = await asyncio.wait({self._next_item}, timeout=limit)
        if self.ended.done():  # the caller has left meanwhile
            return
        if done:
            self._settle(self._next_item.result())
        else:
            self.expire(limit or 0.0)

    def _settle(self, outcome: CallResult) -> None:
        if outcome.duration is not None:
            self.seconds = (self.seconds or 0.0) + outcome.duration
        if outcome.error is not None:
            self._end(Status.ERROR, outcome.error)
        elif outcome.value is END:
            self._end(Status.OK, None)
        else:
            try:
                self._sent = self._encode(outcome.value)
                self._item = outcome.value
            except Exception as error:
                self._end(Status.ERROR, error)
                return
            if self.first_item is None:
                self.first_item = self.seconds
            self.digest.add(outcome.value, self._sent)

    def _end(self, status: Status, error: BaseException | None) -> None:
        self.status, self.error = status, error
        self._sent, self._item = b"", None
        self.ended.set_result(None)
