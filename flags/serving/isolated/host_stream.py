"""A stream in the candidate's process."""

import threading
from collections.abc import Callable, Generator
from typing import Any

from flags.pairing.call import Call, CallResult
from flags.pairing.streams.items import END, AsyncItems
from flags.serving.isolated.transfer import CallTrace, HostedContext


class HostedStream:
    """The stream of one call; its items are made in any thread, or all on the event loop."""

    def __init__(
        self,
        method: Callable[..., Any],
        call: Call,
        context: HostedContext | None,
        trace: CallTrace,
    ) -> None:
        """Call the generator function `method` when the first item is taken."""
        self.context = context
        self.trace = trace
        self._method = method
        self._call = call
        self._items: Generator[Any, None, None] | None = None
        self._async_items: AsyncItems | None = None
        self._taking = threading.Lock()
        self._closed = False

    def take(self) -> Any:
        """Return the next item of a synchronous stream, or END."""
        with self._taking:
            if self._items is None:
                self._items = self._method(*self._call.args, **self._call.kwargs)
            item = next(self._items, END)
        if self._closed:
            self.close()
        return item

    def close(self) -> None:
        """Close a synchronous stream; a thread that is making an item closes it afterwards."""
        self._closed = True
        if self._items is not None and self._taking.acquire(blocking=False):
            try:
                self._items.close()
            finally:
                self._taking.release()

    async def take_async(self) -> CallResult:
        """Return the next item of an asynchronous stream, END, or an error."""
        if self._async_items is None:
            self._async_items = AsyncItems(self._method, self._call)
        item = self._async_items.next()
        try:
            return await item
        finally:
            if item.cancelled():
                self._async_items.give_up()

    async def close_async(self) -> None:
        """Close an asynchronous stream."""
        if self._async_items is not None:
            await self._async_items.close()
