"""One call of a model, and its result: a value or an error, and the duration."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call of a model; each side gets its own."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallResult:
    """Result of a guarded call. Errors are values here; SystemExit in a model is an error too.

    A model that runs in another process returns a CallResult itself, with the duration there.
    """

    value: Any
    error: BaseException | None
    duration: float | None
    """Seconds; None if the call never began."""
    rendered: Any = None
    """The value as it is sent, if it was rendered in the model's process."""
    model: str | None = None
    """Tag of the model, if the answer came with one."""
    processor: float | None = None
    """Processor seconds, if the call had a thread to itself."""


def guard(model: Callable[..., Any], call: Call) -> CallResult:
    """Call `model` and return the result; an error is returned, not raised."""
    started, used = time.perf_counter(), time.thread_time()
    try:
        value, error = model(*call.args, **call.kwargs), None
    except BaseException as raised:
        value, error = None, raised
    used = time.thread_time() - used
    return CallResult(value, error, time.perf_counter() - started, processor=used)


async def guard_async(model: Callable[..., Awaitable[Any]], call: Call) -> CallResult:
    """Call and await `model` and return the result; an error is returned, not raised."""
    started = time.perf_counter()
    value, error = None, None
    try:
        value = await model(*call.args, **call.kwargs)
        if isinstance(value, CallResult):
            return value
    except BaseException as raised:
        error = raised
    return CallResult(value, error, time.perf_counter() - started)


def raisable(error: BaseException) -> BaseException:
    """Return `error`, or a RuntimeError in place of one that a future or the server cannot bear."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    return RuntimeError(f"the model raised {type(error).__name__}")
