"""The items of a model's stream, requested one at a time."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from enum import Enum
from typing import Any, Final, Protocol

from flags.pairing.call import Call, CallResult, guard, guard_async
from flags.pairing.side_threads import SideThreads, ThreadCall


class End(Enum):
    """A value that marks the end of a stream; it survives pickling."""

    END = "end"


END: Final = End.END


class ItemSource(Protocol):
    """The items of one stream, requested one at a time."""

    @property
    def stuck(self) -> bool:
        """Say whether the next item would wait in vain, because every thread hangs."""

    def next(self) -> "asyncio.Future[CallResult]":
        """Request the next item; return a future of the item, END, or an error."""

    def give_up(self) -> None:
        """Abandon the current item, which is past its time limit."""

    async def close(self) -> None:
        """Stop the model before its end, after its current item."""


StreamModel = Callable[..., Any]
"""A generator function, asynchronous or not, or any callable that returns an ItemSource."""


def item_source(model: StreamModel, call: Call, threads: SideThreads) -> ItemSource:
    """Return the items of `call`; a plain generator function runs in `threads`."""
    if inspect.isasyncgenfunction(model):
        return AsyncItems(model, call)
    if inspect.isgeneratorfunction(model):
        return ThreadItems(model, call, threads)
    source: ItemSource = model(*call.args, **call.kwargs)
    return source


class AsyncItems:
    """The items of an asynchronous generator, on the event loop.

    One task makes all items, because a generator may enter a context (a time limit, a task group)
    in one item and leave it in another, which must happen in the same task.
    """

    stuck = False

    def __init__(self, model: Callable[..., AsyncGenerator[Any, None]], call: Call) -> None:
        self._model = model
        self._call = call
        self._items: AsyncGenerator[Any, None] | None = None
        self._wanted = asyncio.Event()
        self._next_item: asyncio.Future[CallResult] | None = None
        self._driver: asyncio.Task[None] | None = None
        self._closed = False

    def next(self) -> "asyncio.Future[CallResult]":
        """Request the next item; return a future of it."""
        if self._driver is None:
            self._driver = asyncio.create_task(self._drive())
        self._next_item = asyncio.get_running_loop().create_future()
        self._wanted.set()
        return self._next_item

    def give_up(self) -> None:
        """Cancel the current item, without waiting: a generator may ignore the cancellation."""
        self._closed = True
        if self._driver is not None:
            self._driver.cancel()

    async def close(self) -> None:
        """Cancel the current item and close the generator."""
        self.give_up()
        if self._driver is not None:
            await asyncio.wait({self._driver})

    async def _drive(self) -> None:
        try:
            while not self._closed:
                await self._wanted.wait()
                self._wanted.clear()
                outcome = await guard_async(self._take, Call())
                if self._next_item is not None and not self._next_item.done():
                    self._next_item.set_result(outcome)
                if outcome.error is not None or outcome.value is END:
                    return
        finally:
            if self._items is not None:
                await guard_async(self._items.aclose, Call())

    async def _take(self) -> Any:
        if self._items is None:
            self._items = self._model(*self._call.args, **self._call.kwargs)
        try:
            return await self._items.__anext__()
        except StopAsyncIteration:
            return END


class ThreadItems:
    """The items of a plain generator, each made in one of the side's threads."""

    def __init__(
        self, model: Callable[..., Generator[Any, None, None]], call: Call, threads: SideThreads
    ) -> None:
        self._model = model
        self._call = call
        self._threads = threads
        self._items: Generator[Any, None, None] | None = None
        self._running: ThreadCall[CallResult] | None = None

    @property
    def stuck(self) -> bool:
        """Say whether every thread of the side hangs."""
        return self._threads.all_stuck

    def next(self) -> "asyncio.Future[CallResult]":
        """Request the next item; return a future of it."""
        self._running = self._threads.submit(lambda: guard(self._take, Call()))
        return self._running.future

    def give_up(self) -> None:
        """Abandon the current item: a thread cannot be ended."""
        if self._running is not None:
            self._threads.abandon(self._running)

    async def close(self) -> None:
        """Close the generator after its current item."""
        if self._running is not None:
            await asyncio.wait({self._running.future})
        if self._items is not None:
            self._running = self._threads.submit(lambda: guard(self._close, Call()))
            await asyncio.wait({self._running.future})

    def _take(self) -> Any:
        if self._items is None:
            self._items = self._model(*self._call.args, **self._call.kwargs)
        return next(self._items, END)

    def _close(self) -> None:
        if self._items is not None:
            self._items.close()
