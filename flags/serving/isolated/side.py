"""The candidate in a process of its own, which is started anew when it ends."""

import asyncio
import inspect
import itertools
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bentoml import Service
from starlette.background import BackgroundTask
from starlette.responses import Response

from flags.errors import MigrationError, SideDownError
from flags.pairing.call import CallResult
from flags.pairing.call_queue import CallQueue
from flags.serving.batch_method import BatchMethod
from flags.serving.bentoml_private import APIMethod
from flags.serving.isolated.child import ChildProgram
from flags.serving.isolated.messages import (
    READINESS,
    BatchMessage,
    CallMessage,
    NextItemMessage,
)
from flags.serving.isolated.process import SideCall, SideProcess
from flags.serving.isolated.stream_client import IsolatedItems
from flags.serving.isolated.transfer import InputState, Traced
from flags.serving.sides.context import SideContext

logger = logging.getLogger(__name__)

_LONG_LIFE: Final = 10.0
"""Seconds after which the end of a process is a new incident, and not one more of a series."""

_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0
"""Seconds before a process is started anew; it doubles with each of a series, from the second.
Starting takes processor time from the primary, which answers."""

_LOOK: Final = 1.0
"""Seconds between two looks at the memory."""

_PROBE_WITHIN: Final = 5.0


class IsolatedSide:
    """The candidate in a process of its own, started anew whenever it ends.

    Calls beyond the service's `threads` are held here. While there is no process, calls fail at
    once, since the primary's answer is there to be served.
    """

    def __init__(
        self,
        service: Service[Any],
        *,
        start_within: float = 60.0,
        max_memory: int | None = None,
        gc_freeze: bool = True,
        environment: Callable[[], Mapping[str, str | None]] = dict,
    ) -> None:
        """Place `service` as the candidate.

        A call that has run for its whole time limit costs the process, and so does memory beyond
        `max_memory` bytes. It may take longer than `start_within` seconds to load, but then the
        worker starts without it. With `gc_freeze`, what it has loaded is left out of garbage
        collection. `environment` says how the variables of its process differ from this one's.
        """
        self._environment = environment
        self._service = service
        self._start_within = start_within
        self._max_memory = max_memory
        self._gc_freeze = gc_freeze
        self._threads = service.config.get("threads", 1)
        self._process: SideProcess | None = None
        self._waiting: CallQueue[SideCall] = CallQueue()
        self._unended: set[SideProcess] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._streams = itertools.count(1)

    async def start(self) -> None:
        """Start the process; one that cannot be loaded fails each request instead."""
        self._folder = tempfile.mkdtemp(prefix="bentoml-flags-")
        try:
            environment = self._environment()
        except MigrationError:  # a variable is not set: it fails each request
            logger.exception("the candidate %s could not be loaded", self._service.name)
            return
        self._program = ChildProgram.of(
            self._service, self._folder, environment, gc_freeze=self._gc_freeze
        )
        loaded_or_not = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(loaded_or_not))
        try:
            await asyncio.wait_for(loaded_or_not.wait(), self._start_within)
        except TimeoutError:
            logger.warning("the candidate %s is still loading", self._service.name)

    async def stop(self) -> None:
        """End the process; its service's shutdown hooks run there."""
        if self._keeper is None:
            return
        self._keeper.cancel()
        await asyncio.wait({self._keeper})
        self._fail_waiting()
        await asyncio.gather(*(process.stop() for process in self._unended))
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:  # noqa: ARG002 - nothing comes rendered
        """Return a call of `api` in the process; what it returns is timed there."""
        if api.is_stream:
            return self._stream_model(api)
        takes_a_thread = not inspect.iscoroutinefunction(api.func)

        async def call(*args: Any, **kwargs: Any) -> CallResult:
            context: SideContext | None = kwargs.pop(api.ctx_param or "", None)
            made = self._submit(
                CallMessage.of(api, args, kwargs, context), takes_a_thread=takes_a_thread
            )
            outcome, response = await made.outcome
            if context is not None and response is not None:
                response.apply_to(context)
            if made.tasks is not None:
                _leave_behind(made, context, outcome.value)
            return outcome

        return call

    def batch_model(self, method: BatchMethod) -> Callable[[Any], Any]:
        """Return a call of the method in the process."""

        async def call(joined: Any) -> CallResult:
            if isinstance(joined, list):
                joined = [InputState.of(each) for each in joined]
            message = BatchMessage(
                method.api.name, method.name, joined, method.is_async, Traced.current()
            )
            outcome, _ = await self._submit(message, takes_a_thread=not method.is_async).outcome
            return outcome

        return call

    def _stream_model(self, api: APIMethod[..., Any]) -> Callable[..., IsolatedItems]:
        def items(*args: Any, **kwargs: Any) -> IsolatedItems:
            context: SideContext | None = kwargs.pop(api.ctx_param or "", None)
            return IsolatedItems(
                self._submit_next_item,
                lambda: CallMessage.of(api, args, kwargs, context),
                context,
                next(self._streams),
                takes_a_thread=inspect.isgeneratorfunction(api.func),
            )

        return items

    async def is_ready(self) -> bool:
        """Ask the service's own `__is_ready__`, if it has one."""
        if self._process is None:
            return False
        if not hasattr(self._service.inner, "__is_ready__"):
            return True
        try:
            asked = self._submit(READINESS, takes_a_thread=False)
            outcome, _ = await asyncio.wait_for(asked.outcome, _PROBE_WITHIN)
        except TimeoutError:
            return False
        return bool(outcome.value)

    def _submit(
        self, message: CallMessage | BatchMessage | str, *, takes_a_thread: bool
    ) -> SideCall:
        call = SideCall(message, takes_a_thread=takes_a_thread)
        self._enter(call)
        return call

    def _submit_next_item(
        self, message: NextItemMessage, process: SideProcess | None, *, takes_a_thread: bool
    ) -> SideCall:
        call = SideCall(message, takes_a_thread=takes_a_thread)
        call.process = process
        if process is None or process is self._process:
            self._enter(call)
        elif process.ended.done():
            call.settle(CallResult(None, self._down(), None))
        else:  # it retires, and finishes what it has
            process.send(call)
        return call

    def _enter(self, call: SideCall) -> None:
        if self._process is not None and not call.takes_a_thread:
            self._process.send(call)
        elif self._process is not None:
            self._waiting.append(call)
            self._send_waiting()
        else:
            call.settle(CallResult(None, self._down(), None))

    def _send_waiting(self) -> None:
        process = self._process
        while process is not None and (first := self._waiting.first()) is not None:
            if first.takes_a_thread and not process.has_free_thread:
                return
            call = self._waiting.popleft()
            if call.outcome.done():  # it ran into its limit before it could begin
                continue
            if call.process in (None, process):
                process.send(call)
            else:
                call.settle(CallResult(None, self._down(), None))

    def _fail_waiting(self) -> None:
        while self._waiting.first() is not None:
            self._waiting.popleft().settle(CallResult(None, self._down(), None))

    def _down(self) -> SideDownError:
        return SideDownError("the candidate has no process at the moment")

    async def _keep(self, loaded_or_not: asyncio.Event) -> None:
        """Keep a process up, until cancelled; the event says that the first one has tried."""
        delays = _delays()
        while True:
            process = self._new_process()
            error = await _loading_error(process)
            loaded_or_not.set()
            if error is None:
                if await self._serve(process) > _LONG_LIFE:
                    delays = _delays()
            else:
                name = self._service.name
                logger.error("the candidate %s could not be loaded", name, exc_info=error)
                process.retire("could not be loaded")
            self._fail_waiting()
            await asyncio.sleep(next(delays))

    def _new_process(self) -> SideProcess:
        process = SideProcess(self._program, threads=self._threads, freed=self._send_waiting)
        self._unended.add(process)
        process.ended.add_done_callback(lambda _: self._unended.discard(process))
        return process

    async def _serve(self, process: SideProcess) -> float:
        """Let `process` have the calls as long as it can; return for how many seconds."""
        began = asyncio.get_running_loop().time()
        logger.info("the candidate %s runs in process %d", self._service.name, process.pid)
        self._process = process
        self._send_waiting()
        try:
            while not process.unusable.done():
                timeout = None if self._max_memory is None else _LOOK
                await asyncio.wait({process.unusable}, timeout=timeout)
                self._look_at_memory(process)
        finally:
            self._process = None
        reason = process.unusable.result()
        name = self._service.name
        logger.error("the candidate %s: process %d %s", name, process.pid, reason)
        return asyncio.get_running_loop().time() - began

    def _look_at_memory(self, process: SideProcess) -> None:
        used, limit = process.memory(), self._max_memory
        if limit is not None and used > limit:
            process.retire(f"used {used >> 20} MiB of memory, limit {limit >> 20} MiB")


def _leave_behind(call: SideCall, context: SideContext | None, answer: Any) -> None:
    """Have the process run the background tasks that are there, if the answer is served."""

    async def served() -> None:
        if call.process is not None and call.tasks is not None:
            call.process.tell(call.tasks)

    if context is not None:
        context.left_elsewhere = served
    elif isinstance(answer, Response):
        answer.background = BackgroundTask(served)


async def _loading_error(process: SideProcess) -> Exception | None:
    try:
        await process.load()
    except Exception as error:
        return error
    return None


def _delays() -> Iterator[float]:
    """Yield the seconds before each start of a series: none before the first."""
    yield 0.0
    delay = _DELAY
    while True:
        yield delay
        delay = min(2 * delay, _LONGEST_DELAY)
