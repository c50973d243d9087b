"""The candidate's end of the pipe, which answers calls in the candidate's process."""

import asyncio
import inspect
import pickle
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from bentoml import Service
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from flags.pairing.call import Call, CallResult, guard, guard_async
from flags.pairing.streams.items import END
from flags.serving.bentoml_private import set_current_service
from flags.serving.isolated.host_stream import HostedStream
from flags.serving.isolated.messages import (
    CANCEL,
    LOADED,
    READINESS,
    BatchMessage,
    CallMessage,
    CloseMessage,
    NextItemMessage,
    ResultMessage,
    ServedMessage,
)
from flags.serving.isolated.pending_tasks import PendingTasks
from flags.serving.isolated.pipe import BlockingPipe
from flags.serving.isolated.portable_errors import portable
from flags.serving.isolated.responses import needs_running, portable_response, run
from flags.serving.isolated.transfer import (
    ContextResponse,
    HostedContext,
    PortableImage,
)
from flags.serving.sides.dependencies import open_dependencies
from flags.serving.sides.placement import as_generator, run_hooks
from flags.serving.sides.value_pickle import ModelState
from flags.serving.sides.worker_threads import as_worker_thread

_FILES_KEPT: Final = 60.0
"""Seconds that the worker has for reading a request's files."""


class Host:
    """The candidate's service, called by messages from the worker.

    The threads of the process wait for messages in turn. The thread that receives a synchronous
    call makes it itself, so that no thread has to wake another. An asynchronous call goes to the
    event loop; then there is one thread more than there can be synchronous calls.
    """

    def __init__(
        self, folder: str, pipe: BlockingPipe, on_loaded: Callable[[], None] | None = None
    ) -> None:
        """Answer messages from `pipe`; `on_loaded` is called when the service is loaded."""
        self._folder = folder
        self._pipe = pipe
        self._on_loaded = on_loaded
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._pending_tasks = PendingTasks()
        self._streams: dict[int, HostedStream] = {}
        self._closed = asyncio.Event()

    async def serve(self, import_service: Callable[[], Service[Any]]) -> None:
        """Load the service, send the worker the result, and answer until the pipe is closed."""
        try:
            service = import_service()
            instance = service()
            await open_dependencies(service, instance)
            await run_hooks(service, instance, "__bentoml_startup_hook__")
            set_current_service(instance)
        except BaseException as error:
            self._pipe.send(LOADED, portable(error))
            return
        self._service, self._instance = service, instance
        self._methods = {name: getattr(instance, name).local for name in service.apis}
        self._async = {
            name
            for name, api in service.apis.items()
            if inspect.iscoroutinefunction(api.func) or inspect.isasyncgenfunction(api.func)
        }
        if self._on_loaded is not None:
            self._on_loaded()
        self._pipe.send(LOADED, None)
        needs_loop = bool(self._async) or hasattr(instance, "__is_ready__")
        for number in range(service.config.get("threads", 1) + needs_loop):
            name = f"candidate-model-{number + 1}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        await self._closed.wait()
        await run_hooks(service, instance, "__bentoml_shutdown_hook__")

    def _work(self) -> None:
        with as_worker_thread(self._loop):
            self._receive()

    def _receive(self) -> None:
        """Receive messages and answer them, until the pipe is closed."""
        while (received := self._pipe.receive()) is not None:
            number, body = received
            try:
                message = pickle.loads(body)  # noqa: S301 - the worker's own
            except Exception as error:
                self._send(number, CallResult(None, error, None))
                continue
            if isinstance(message, ServedMessage):
                self._loop.call_soon_threadsafe(self._pending_tasks.served, message.key)
            elif isinstance(message, BatchMessage) and not message.is_async:
                self._answer_batch(number, message)
            elif isinstance(message, str | BatchMessage) or message.api in self._async:
                self._loop.call_soon_threadsafe(self._begin, number, message)
            elif isinstance(message, CallMessage):
                self._answer(number, message)
            else:
                self._continue(number, message)
        with suppress(RuntimeError):  # another thread was first, and the loop is closed
            self._loop.call_soon_threadsafe(self._closed.set)

    def _answer(self, number: int, message: CallMessage) -> None:
        try:
            call, context = self._call(message)
        except Exception as error:  # raised, it would end this thread
            self._send(number, CallResult(None, error, None))
            return
        with message.trace.attached():
            outcome = guard(self._methods[message.api], call)
            tasks = _take_tasks(outcome, context)
            if isinstance(outcome.value, Response):
                outcome = self._with_portable_response(outcome)
        self._send(number, outcome, context, tasks)

    def _answer_batch(self, number: int, message: BatchMessage) -> None:
        try:
            method, call = self._batch(message)
        except Exception as error:
            self._send(number, CallResult(None, error, None))
            return
        with message.trace.attached():
            outcome = guard(method, call)
        self._send(number, outcome)

    def _batch(self, message: BatchMessage) -> tuple[Callable[..., Any], Call]:
        spec = self._service.apis[message.api].input_spec
        joined = message.joined
        if isinstance(joined, list):
            joined = [
                each.restored(spec) if isinstance(each, ModelState) else each for each in joined
            ]
        member = getattr(self._instance, message.method)
        return getattr(member, "local", member), Call((joined,))

    def _with_portable_response(self, outcome: CallResult) -> CallResult:
        """Return the result of a call with its response in a form that can be pickled."""
        began = time.perf_counter()
        try:
            if needs_running(outcome.value) and not isinstance(outcome.value, FileResponse):
                running = asyncio.run_coroutine_threadsafe(run(outcome.value), self._loop)
                sent: Any = running.result()
            else:
                sent = portable_response(outcome.value)
        except Exception as error:
            return CallResult(None, error, outcome.duration)
        return CallResult(sent, None, (outcome.duration or 0.0) + time.perf_counter() - began)

    def _continue(self, number: int, message: NextItemMessage | CloseMessage) -> None:
        """Take the next item of a synchronous stream, or close it."""
        if isinstance(message, CloseMessage):
            if (stream_to_close := self._remove_stream(message.stream)) is not None:
                guard(stream_to_close.close, Call())
            return
        try:
            stream = self._stream(message)
        except Exception as error:
            self._send(number, CallResult(None, error, None))
            return
        with stream.trace.attached():
            outcome = guard(stream.take, Call())
        self._send_item(number, message, stream, outcome)

    def _begin(self, number: int, message: Any) -> None:
        if isinstance(message, CloseMessage):
            if (stream := self._remove_stream(message.stream)) is not None:
                self._pending_tasks.start(stream.close_async())
        elif message != CANCEL:
            task = self._loop.create_task(self._answer_async(number, message))
            self._calls[number] = task
            task.add_done_callback(lambda done: self._ended(number, done))
        elif number in self._calls:
            self._calls[number].cancel()

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        del self._calls[number]
        # A task may be cancelled before it begins, if another call has blocked the loop.
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._send(number, CallResult(None, error, None))

    async def _answer_async(self, number: int, message: Any) -> None:
        if message == READINESS:
            self._send(number, await guard_async(self._is_ready, Call()))
            return
        if isinstance(message, BatchMessage):
            method, call = self._batch(message)
            with message.trace.attached():
                self._send(number, await guard_async(method, call))
            return
        if isinstance(message, NextItemMessage):
            stream = self._stream(message)
            with stream.trace.attached():
                outcome = await stream.take_async()
            self._send_item(number, message, stream, outcome)
            return
        call, context = self._call(message)
        with message.trace.attached():
            outcome = await guard_async(self._methods[message.api], call)
            tasks = _take_tasks(outcome, context)
            if isinstance(outcome.value, Response):
                outcome = await asyncio.to_thread(self._with_portable_response, outcome)
        self._send(number, outcome, context, tasks)

    def _stream(self, message: NextItemMessage) -> HostedStream:
        if message.call is not None:
            call, context = self._call(message.call)
            method = as_generator(self._service.apis[message.api], self._methods[message.api])
            self._streams[message.stream] = HostedStream(method, call, context, message.call.trace)
        return self._streams[message.stream]

    def _send_item(
        self, number: int, message: NextItemMessage, stream: HostedStream, outcome: CallResult
    ) -> None:
        """Send an item; the first one with the response of the side's context."""
        self._send(number, outcome, stream.context if message.call else None)
        if outcome.error is not None or outcome.value is END:
            self._remove_stream(message.stream)

    def _remove_stream(self, number: int) -> HostedStream | None:
        """Remove and return a stream; keep its background tasks and files for the worker."""
        stream = self._streams.pop(number, None)
        if stream is not None and stream.context is not None:
            tasks = stream.context.response.background.tasks
            self._loop.call_soon_threadsafe(self._keep_for_worker, -number, stream.context, tasks)
        return stream

    def _call(self, message: CallMessage) -> tuple[Call, HostedContext | None]:
        spec = self._service.apis[message.api].input_spec
        args = tuple(
            value.restored(spec) if isinstance(value, ModelState) else value
            for value in message.args
        )
        if message.context is None:
            return Call(args, message.kwargs), None
        parameter, scope = message.context
        context = HostedContext(scope, self._service.context.state, self._folder)
        return Call(args, {**message.kwargs, parameter: context}), context

    async def _is_ready(self) -> bool:
        probe = self._instance.__is_ready__
        if inspect.iscoroutinefunction(probe):
            return bool(await probe())
        return bool(await asyncio.to_thread(probe))

    def _send(
        self,
        number: int,
        outcome: CallResult,
        context: HostedContext | None = None,
        tasks: list[BackgroundTask] | None = None,
    ) -> None:
        """Send the result of a call; with `tasks`, it is the last one of this call."""
        response = None if context is None else ContextResponse.of(context.response)
        error = None if outcome.error is None else portable(outcome.error)
        try:
            value = PortableImage.of(outcome.value)
            result = ResultMessage(
                value, error, outcome.duration, response, bool(tasks), outcome.processor
            )
            self._pipe.send(number, result)
        except OSError:  # the worker is gone
            return
        except Exception as unsendable:
            self._pipe.send(number, ResultMessage(None, portable(unsendable), outcome.duration))
        if tasks is not None:
            self._loop.call_soon_threadsafe(self._keep_for_worker, number, context, tasks)

    def _keep_for_worker(
        self, key: int, context: HostedContext | None, tasks: list[BackgroundTask]
    ) -> None:
        """Keep a request's background tasks until it is served, and files that the worker reads."""
        if tasks:
            self._pending_tasks.keep(key, tasks)
        if context is not None and context.used_folder is not None:
            self._loop.call_later(_FILES_KEPT, shutil.rmtree, context.used_folder, True)


def _take_tasks(outcome: CallResult, context: HostedContext | None) -> list[BackgroundTask]:
    """Return the background tasks of a call, and remove them from the response it returned."""
    tasks = [] if context is None else list(context.response.background.tasks)
    if isinstance(outcome.value, Response) and outcome.value.background is not None:
        tasks.append(outcome.value.background)
        outcome.value.background = None
    return tasks
