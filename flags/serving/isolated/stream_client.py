"""The worker's end of a stream in the candidate's process: one call for each item."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from flags.pairing.call import CallResult
from flags.pairing.streams.items import END
from flags.serving.isolated.messages import (
    CallMessage,
    CloseMessage,
    NextItemMessage,
    ServedMessage,
)
from flags.serving.isolated.transfer import CarriedResponse
from flags.serving.sides.context import SideContext

if TYPE_CHECKING:
    from flags.serving.isolated.process import SideCall, SideProcess


class Submit(Protocol):
    """Have a process make a call: the given one, or, for None, the one that serves the side."""

    def __call__(
        self, message: NextItemMessage, process: "SideProcess | None", *, takes_a_thread: bool
    ) -> "SideCall":
        """Return the call, which knows the process that makes it."""
        ...


class IsolatedItems:
    """The items of one stream; all come from the process that made the first."""

    stuck = False

    def __init__(
        self,
        submit: Submit,
        asked: Callable[[], CallMessage],
        context: SideContext | None,
        number: int,
        *,
        takes_a_thread: bool,
    ) -> None:
        """Take the stream `number`, which answers what `asked` returns at the first turn."""
        self._submit = submit
        self._asked = asked
        self._context = context
        self._number = number
        self._takes_a_thread = takes_a_thread
        self._api = ""
        self._call: SideCall | None = None
        self._over = False

    def next(self) -> "asyncio.Future[CallResult]":
        """Request the next item; return a future of it."""
        item: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
        asked = self._asked() if self._call is None else None
        self._api = asked.api if asked is not None else self._api
        if asked is not None and self._context is not None:
            self._context.left_elsewhere = self._served
        self._call = self._submit(
            NextItemMessage(self._api, self._number, asked),
            self._process,
            takes_a_thread=self._takes_a_thread,
        )
        self._call.outcome.add_done_callback(lambda done: self._arrived(done, item))
        return item

    def give_up(self) -> None:
        """Abandon the current item; its process is told, and may have to end."""
        if self._call is not None:
            self._call.outcome.cancel()
        self._end()

    async def close(self) -> None:
        """Have the process close the stream; an asynchronous item is cancelled."""
        if self._call is not None:
            if not self._takes_a_thread:
                self._call.outcome.cancel()
            await asyncio.wait({self._call.outcome})
        self._end()

    async def _served(self) -> None:
        """Have the process run the background tasks of a stream that was served."""
        if self._process is not None:
            self._process.tell(ServedMessage(self._api, -self._number))

    def _arrived(
        self,
        done: "asyncio.Future[tuple[CallResult, CarriedResponse | None]]",
        item: "asyncio.Future[CallResult]",
    ) -> None:
        if done.cancelled():
            item.cancel()
            return
        outcome, response = done.result()
        if response is not None and self._context is not None:
            response.apply_to(self._context)
        if outcome.value is END:
            self._let_go()
        if not item.done():
            item.set_result(outcome)

    def _end(self) -> None:
        if not self._over and self._process is not None:
            self._process.tell(CloseMessage(self._api, self._number))
        self._let_go()

    def _let_go(self) -> None:
        """Let the process end, if that is all that it waits for."""
        if not self._over and self._process is not None:
            self._process.lose_stream()
        self._over = True

    @property
    def _process(self) -> "SideProcess | None":
        return None if self._call is None else self._call.process
