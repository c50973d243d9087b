"""The worker's end of a stream in the candidate's process, with one call for each item."""

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
from flags.serving.isolated.transfer import ContextResponse
from flags.serving.sides.context import SideContext

if TYPE_CHECKING:
    from flags.serving.isolated.process import SideCall, SideProcess


class Submit(Protocol):
    """Submit a call to `process`; for None, to the side's current process."""

    def __call__(
        self, message: NextItemMessage, process: "SideProcess | None", *, takes_a_thread: bool
    ) -> "SideCall":
        """Return the submitted call, which knows its process."""
        ...


class IsolatedItems:
    """The items of one stream; all come from the process that made the first."""

    stuck = False

    def __init__(
        self,
        submit: Submit,
        new_call: Callable[[], CallMessage],
        context: SideContext | None,
        number: int,
        *,
        takes_a_thread: bool,
    ) -> None:
        """Take the stream `number`; `new_call` is called when its first item is requested."""
        self._submit = submit
        self._new_call = new_call
        self._context = context
        self._number = number
        self._takes_a_thread = takes_a_thread
        self._api = ""
        self._call: SideCall | None = None
        self._ended = False

    def next(self) -> "asyncio.Future[CallResult]":
        """Request the next item; return a future of it."""
        item: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
        call = self._new_call() if self._call is None else None
        self._api = call.api if call is not None else self._api
        if call is not None and self._context is not None:
            self._context.run_remote_tasks = self._served
        self._call = self._submit(
            NextItemMessage(self._api, self._number, call),
            self._process,
            takes_a_thread=self._takes_a_thread,
        )
        self._call.outcome.add_done_callback(lambda done: self._arrived(done, item))
        return item

    def give_up(self) -> None:
        """Abandon the current item; its process may be replaced for that."""
        if self._call is not None:
            self._call.outcome.cancel()
        self._end()

    async def close(self) -> None:
        """Let the process close the stream; an asynchronous item is cancelled."""
        if self._call is not None:
            if not self._takes_a_thread:
                self._call.outcome.cancel()
            await asyncio.wait({self._call.outcome})
        self._end()

    async def _served(self) -> None:
        """Let the process run the background tasks of a stream that was served."""
        if self._process is not None:
            self._process.notify(ServedMessage(self._api, -self._number))

    def _arrived(
        self,
        done: "asyncio.Future[tuple[CallResult, ContextResponse | None]]",
        item: "asyncio.Future[CallResult]",
    ) -> None:
        if done.cancelled():
            item.cancel()
            return
        outcome, response = done.result()
        if response is not None and self._context is not None:
            response.apply_to(self._context)
        if outcome.value is END:
            self._release_process()
        if not item.done():
            item.set_result(outcome)

    def _end(self) -> None:
        if not self._ended and self._process is not None:
            self._process.notify(CloseMessage(self._api, self._number))
        self._release_process()

    def _release_process(self) -> None:
        """Tell the process that the stream has ended, for which it may wait in order to end."""
        if not self._ended and self._process is not None:
            self._process.stream_ended()
        self._ended = True

    @property
    def _process(self) -> "SideProcess | None":
        return None if self._call is None else self._call.process
