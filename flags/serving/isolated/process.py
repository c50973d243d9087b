"""One process of the candidate, as the worker sees it."""

import asyncio
import atexit
import itertools
import multiprocessing
import pickle
import signal
import socket
from collections.abc import Callable
from typing import Final

import psutil

from flags.errors import SideDownError
from flags.pairing.assignment import Side
from flags.pairing.call import CallResult
from flags.pairing.call_queue import enqueue, in_background
from flags.serving.isolated.child import ChildProgram, run
from flags.serving.isolated.messages import (
    CANCEL,
    LOADED,
    BatchMessage,
    CallMessage,
    CloseMessage,
    NextItemMessage,
    ResultMessage,
    ServedMessage,
)
from flags.serving.isolated.pipe import Pipe
from flags.serving.isolated.portable_errors import restored
from flags.serving.isolated.responses import SentFile, SentResponse
from flags.serving.isolated.session import end_session
from flags.serving.isolated.transfer import ContextResponse, PortableImage

_CANCEL_TIMEOUT: Final = 1.0
"""Seconds that an asynchronous call gets to end after it was cancelled."""

_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a process gets to end after its pipe was closed."""

_LAST_ANSWERS_TIMEOUT: Final = 0.1
"""Seconds for which answers of an ended process are still read."""

_PRELOADED: Final = "flags.serving.isolated.fork_server"


class SideCall:
    """One call of the candidate's API, from the queue to its outcome."""

    def __init__(
        self,
        message: CallMessage | BatchMessage | NextItemMessage | str,
        *,
        takes_a_thread: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.message = message
        self.takes_a_thread = takes_a_thread
        self.is_background = in_background.get()
        self.position = enqueue()
        self.process: SideProcess | None = None
        """The process that makes the call; for a stream's item, the process of its first item."""
        self.submitted = self.began = loop.time()
        self.outcome: asyncio.Future[tuple[CallResult, ContextResponse | None]] = (
            loop.create_future()
        )
        """The result; cancelled by a caller that stops waiting."""
        self.tasks: ServedMessage | None = None
        """The message to send when the answer was served, if background tasks wait for it."""

    def settle(self, outcome: CallResult, response: ContextResponse | None = None) -> None:
        """Set the outcome, unless the caller has stopped waiting."""
        if not self.outcome.done():
            self.outcome.set_result((outcome, response))


class SideProcess:
    """A child process that serves the candidate, and its current calls.

    A call that was cancelled has reached its time limit, which includes its time in the queue. The
    process retires if such a call runs on until it has run for the whole limit.
    """

    def __init__(self, program: ChildProgram, *, threads: int, freed: Callable[[], None]) -> None:
        """Run `program`; `freed` is called when the process can take another call."""
        loop = asyncio.get_running_loop()
        self.unusable: asyncio.Future[str] = loop.create_future()
        """Done with the reason when the process takes no more calls; it finishes its current ones.
        """
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._program = program
        self._freed = freed
        self._free = threads
        self._calls: dict[int, SideCall] = {}
        self._overdue: set[int] = set()
        self._streams = 0
        """Streams that have begun and not ended; between two items they have no call."""
        self._numbers = itertools.count(LOADED + 1)
        self._loaded: asyncio.Future[None] = loop.create_future()
        self._loaded.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._pipe = Pipe(self._received, self._closed)
        self._launching = loop.create_task(self._launch())
        self._launching.add_done_callback(self._launched)

    @property
    def has_free_thread(self) -> bool:
        """Say whether a synchronous call would be begun at once."""
        return self._free > 0

    @property
    def pid(self) -> int | None:
        """Return the process id."""
        return self._process.pid

    def memory(self) -> int:
        """Return the resident memory in bytes; 0 if it is unknown."""
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except (psutil.Error, OSError):  # it has ended, or this worker has no file handle left
            return 0

    async def load(self) -> None:
        """Wait until the process has loaded the service; raises the error of loading."""
        await self._loaded

    def send(self, call: SideCall) -> None:
        """Send `call` to the process; it is settled in any case."""
        call.position.in_line = False
        number = next(self._numbers)
        try:
            self._pipe.send(number, call.message)
        except Exception as error:  # an argument that cannot be pickled
            call.settle(CallResult(None, error, None))
            return
        call.process = self
        call.began = self._loop.time()
        self._calls[number] = call
        if isinstance(call.message, NextItemMessage) and call.message.call is not None:
            self._streams += 1
        if call.takes_a_thread:
            self._free -= 1
        call.outcome.add_done_callback(lambda _: self._done(number))

    def notify(self, message: CloseMessage | ServedMessage) -> None:
        """Send a message that has no answer."""
        self._pipe.send(LOADED, message)

    def stream_ended(self) -> None:
        """Record that a stream which began in this process has ended."""
        self._streams -= 1
        if self.unusable.done():
            self.retire(self.unusable.result())

    def retire(self, reason: str) -> None:
        """Take no more calls, and end as soon as all remaining calls hang."""
        self._set_unusable(reason)
        if self._calls.keys() <= self._overdue and not self._streams:
            self._end()

    async def stop(self) -> None:
        """End the process; its shutdown hooks run if it is not busy."""
        await asyncio.wait({self._launching})
        self._end()
        await self.ended

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        # Forked from a server without threads: a fork of this process, which has threads, may hang.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([_PRELOADED])
        self._process = context.Process(
            target=run, args=(self._program, theirs), name=str(Side.CANDIDATE)
        )
        try:
            await asyncio.to_thread(self._process.start)  # the first one waits for the server
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        atexit.register(self._process.kill)  # or `multiprocessing` waits for it at exit
        self._loop.add_reader(self._process.sentinel, self._exited)
        await self._loop.create_unix_connection(lambda: self._pipe, sock=ours)

    def _launched(self, launching: "asyncio.Task[None]") -> None:
        """Set `ended` if the process could not be started, for want of memory or file handles."""
        if not launching.cancelled() and (error := launching.exception()) is not None:
            self._loaded.set_exception(error)
            self._set_unusable("could not be started")
            self.ended.set_result(None)

    def _received(self, number: int, body: bytes) -> None:
        if number == LOADED:
            self._finish_loading(restored(pickle.loads(body)))  # noqa: S301 - our own child
            return
        call = self._calls.pop(number)
        self._overdue.discard(number)
        if call.takes_a_thread:
            self._free += 1
        try:
            result: ResultMessage = pickle.loads(body)  # noqa: S301 - from our own child
        except Exception as error:  # e.g. a class that this process cannot import
            call.settle(CallResult(None, error, None))
        else:
            value = result.value
            if isinstance(value, PortableImage | SentResponse | SentFile):
                value = value.restored()
            outcome = CallResult(
                value,
                restored(result.error),
                result.duration,
                processor=result.processor,
            )
            if result.has_tasks:
                call.tasks = ServedMessage("", number)
            call.settle(outcome, result.response)
        if self.unusable.done():
            self.retire(self.unusable.result())
        else:
            self._freed()

    def _finish_loading(self, error: BaseException | None) -> None:
        if error is None:
            self._loaded.set_result(None)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            self._loaded.set_exception(error)
        else:  # SystemExit, for example, would end the worker
            raised = SideDownError(f"the candidate raised {type(error).__name__}")
            self._loaded.set_exception(raised)

    def _done(self, number: int) -> None:
        """Cancel a call whose caller has stopped waiting; check later whether it hangs."""
        call = self._calls.get(number)
        if call is None:
            return
        within = call.began - call.submitted
        if not call.takes_a_thread:
            self._pipe.send(number, CANCEL)
            within += _CANCEL_TIMEOUT
        self._loop.call_later(within, self._retire_if_unanswered, number)

    def _retire_if_unanswered(self, number: int) -> None:
        if number in self._calls:
            self._overdue.add(number)
            self.retire("a call hung")

    def _set_unusable(self, reason: str) -> None:
        if not self.unusable.done():
            self.unusable.set_result(reason)

    def _end(self) -> None:
        if self.ended.done():
            return
        if self._overdue or not self._loaded.done():
            self._process.kill()
        else:
            self._pipe.close()
            self._loop.call_later(_CLOSE_TIMEOUT, self._process.kill)

    def _closed(self) -> None:
        """Handle a closed pipe: kill the process soon if it still runs, else settle its calls."""
        if self._process.exitcode is None:
            self._loop.call_later(_CLOSE_TIMEOUT, self._process.kill)
        else:
            self._finish()

    def _exited(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        atexit.unregister(self._process.kill)
        # Further calls go to the next process.
        self._set_unusable(_exit_reason(self._process.exitcode))
        # A process that the model started may hold the pipe open.
        self._loop.call_later(_LAST_ANSWERS_TIMEOUT, self._finish)

    def _finish(self) -> None:
        if self.ended.done():
            return
        reason = _exit_reason(self._process.exitcode)
        error = SideDownError(f"the candidate's process {reason}")
        if not self._loaded.done():
            self._loaded.set_exception(error)
        self._set_unusable(reason)
        for call in self._calls.values():
            call.settle(CallResult(None, error, self._loop.time() - call.began))
        self._calls.clear()
        self._pipe.close()
        if self._process.pid is not None:
            end_session(self._process.pid)
        self._process.join(0)
        self.ended.set_result(None)


def _exit_reason(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    number = -exit_code
    try:
        return f"was ended by {signal.Signals(number).name}"
    except ValueError:  # most real-time signals have no name
        return f"was ended by signal {number}"
