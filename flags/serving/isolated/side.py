"""The side of a candidate in a process of its own, which is restarted when it ends."""

import asyncio
import inspect
import itertools
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.util import get_temp_dir
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
from flags.serving.isolated.transfer import CallTrace
from flags.serving.sides.context import SideContext
from flags.serving.sides.value_pickle import ModelState

logger = logging.getLogger(__name__)

_LONG_LIFE: Final = 10.0
"""Seconds of running after which the restart delay starts anew."""

_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0
"""Seconds before a restart. The first restart of a series has no delay; from the second one on, the
delay doubles each time. Starting takes processor time from the primary, which answers."""

_MEMORY_INTERVAL: Final = 1.0
"""Seconds between two checks of the memory."""

_PROBE_TIMEOUT: Final = 5.0


class IsolatedSide:
    """The candidate in a process of its own, restarted whenever it ends.

    Calls beyond the service's `threads` wait here. While there is no process, calls fail at once,
    because the primary's answer can be served instead.
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

        The process is replaced if a call runs for its whole time limit, or if it uses more than
        `max_memory` bytes. If it takes longer than `start_within` seconds to load, the worker
        starts without it. With `gc_freeze`, loaded objects are excluded from garbage collection.
        `environment` returns the variables that differ between its process and this one.
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
        """Start the process and wait for it; if it cannot be loaded, its calls fail instead."""
        try:
            environment = self._environment()
        except MigrationError:  # a required variable is not set, so each call fails
            logger.exception("the candidate %s could not be loaded", self._service.name)
            return
        # In a folder that the fork server removes if this process is killed.
        self._folder = tempfile.mkdtemp(prefix="bentoml-flags-", dir=get_temp_dir())
        self._program = ChildProgram.of(
            self._service, self._folder, environment, gc_freeze=self._gc_freeze
        )
        tried = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(tried))
        try:
            await asyncio.wait_for(tried.wait(), self._start_within)
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

    def model(self, api: APIMethod[..., Any], *, read: bool = True) -> Callable[..., Any]:  # noqa: ARG002 - no answer is rendered there
        """Return a function that calls `api` in the process, and measures the duration there."""
        if api.is_stream:
            return self._stream_model(api)
        takes_a_thread = not inspect.iscoroutinefunction(api.func)

        async def call(*args: Any, **kwargs: Any) -> CallResult:
            context: SideContext | None = kwargs.pop(api.ctx_param or "", None)
            submitted = self._submit(
                CallMessage.of(api, args, kwargs, context), takes_a_thread=takes_a_thread
            )
            outcome, response = await submitted.outcome
            if context is not None and response is not None:
                response.apply_to(context)
            if submitted.tasks is not None:
                _run_tasks_when_served(submitted, context, outcome.value)
            return outcome

        return call

    def batch_model(self, method: BatchMethod) -> Callable[[Any], Any]:
        """Return a function that calls the method in the process."""

        async def call(joined: Any) -> CallResult:
            if isinstance(joined, list):
                joined = [ModelState.of_whole_body(each) for each in joined]
            message = BatchMessage(
                method.api.name, method.name, joined, method.is_async, CallTrace.current()
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
            probe = self._submit(READINESS, takes_a_thread=False)
            outcome, _ = await asyncio.wait_for(probe.outcome, _PROBE_TIMEOUT)
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
        else:  # the process retires, but finishes its streams
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
            if call.outcome.done():  # it reached its time limit in the queue
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

    async def _keep(self, tried: asyncio.Event) -> None:
        """Run processes one after another, until cancelled; set `tried` after the first load."""
        delays = _delays()
        while True:
            process = self._new_process()
            error = await _loading_error(process)
            tried.set()
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
        """Send calls to `process` until it is unusable; return after how many seconds."""
        began = asyncio.get_running_loop().time()
        logger.info("the candidate %s runs in process %d", self._service.name, process.pid)
        self._process = process
        self._send_waiting()
        try:
            while not process.unusable.done():
                timeout = None if self._max_memory is None else _MEMORY_INTERVAL
                await asyncio.wait({process.unusable}, timeout=timeout)
                self._check_memory(process)
        finally:
            self._process = None
        reason = process.unusable.result()
        name = self._service.name
        logger.error("the candidate %s: process %d %s", name, process.pid, reason)
        return asyncio.get_running_loop().time() - began

    def _check_memory(self, process: SideProcess) -> None:
        used, limit = process.memory(), self._max_memory
        if limit is not None and used > limit:
            process.retire(f"used {used >> 20} MiB of memory, limit {limit >> 20} MiB")


def _run_tasks_when_served(call: SideCall, context: SideContext | None, answer: Any) -> None:
    """Let the process run the call's background tasks when the answer was served."""

    async def served() -> None:
        if call.process is not None and call.tasks is not None:
            call.process.notify(call.tasks)

    if context is not None:
        context.run_remote_tasks = served
    elif isinstance(answer, Response):
        answer.background = BackgroundTask(served)


async def _loading_error(process: SideProcess) -> Exception | None:
    try:
        await process.load()
    except Exception as error:
        return error
    return None


def _delays() -> Iterator[float]:
    """Yield the delay in seconds before each restart of a series, 0 before the first."""
    yield 0.0
    delay = _DELAY
    while True:
        yield delay
        delay = min(2 * delay, _LONGEST_DELAY)
