"""One call of a model, and its end: a value or an error, and how long it took."""

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
    """End of a guarded call. Errors are values here: SystemExit in a model is one more error.

    A model that runs elsewhere returns one, to report the time it took there.
    """

    value: Any
    error: BaseException | None
    duration: float | None
    """Seconds; None if it was never begun."""
    rendered: Any = None
    """What is sent for the value, if it was rendered where the model runs."""
    model: str | None = None
    """Tag of the model, if it was said with the answer."""
    processor: float | None = None
    """Seconds of the processor, if the call had a thread to itself."""


def guard(model: Callable[..., Any], call: Call) -> CallResult:
    """Make `call`, and return its end, whatever it is."""
    started, used = time.perf_counter(), time.thread_time()
    try:
        value, error = model(*call.args, **call.kwargs), None
    except BaseException as raised:
        value, error = None, raised
    used = time.thread_time() - used
    return CallResult(value, error, time.perf_counter() - started, processor=used)


async def guard_async(model: Callable[..., Awaitable[Any]], call: Call) -> CallResult:
    """Make `call`, and return its end, whatever it is."""
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
    """Return an error that can go through a future and cannot end the server."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    return RuntimeError(f"the model raised {type(error).__name__}")
