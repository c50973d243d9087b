"""A scorer of one side: one call of its model per request, under a time limit."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from flags.errors import SideBusyError, SideStuckError
from flags.pairing.assignment import Side
from flags.pairing.call import Call, CallResult, guard, guard_async
from flags.pairing.call_queue import QueuePosition, current_position, in_background
from flags.pairing.observation import Observation, Status
from flags.pairing.reading import Reading
from flags.pairing.side_threads import SideThreads
from flags.pairing.tuning import Decide


class Model(Protocol):
    """A model: any callable that answers a request, synchronous or not."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the answer, or an awaitable of it."""
        ...


class Accept(Protocol):
    """A check that an answer can be served."""

    async def __call__(self, answer: Any) -> None:
        """Raise if `answer` cannot be served."""
        ...


class Render(Protocol):
    """The rendering of an answer as a response, if it is too slow for the event loop."""

    async def __call__(self, answer: Any) -> Any:
        """Return the content to send for `answer`; raise if it cannot be sent."""
        ...


@dataclass(frozen=True, slots=True)
class Scored:
    """The result of a side's call: the observation, and the answer or the error behind it."""

    observation: Observation
    answer: Any = None
    error: BaseException | None = None

    @property
    def ok(self) -> bool:
        """Say whether there is an answer that can be served."""
        return self.observation.status is Status.OK

    def sampled(self, share: float) -> "Scored":
        """Return a copy that records the share of units whose shadows were scored."""
        return replace(self, observation=replace(self.observation, sampled=share))


Tag = str | Callable[[], str] | None
"""The tag of a side's model; a callable if a remote server may restart with another model."""


class Scorer:
    """Score one side: call its model, read the answer, return an observation; never raise.

    A synchronous model runs in `threads` (by default one of its own; APIs of one model share them),
    an asynchronous one on the event loop. A call past its time limit is abandoned, since a thread
    cannot be ended; while abandoned calls hold every thread, further calls are `shed` at once
    instead of waiting in vain. A call that waits in the queue for its whole time limit is `shed`
    too: this shows that the side is busy, not that its answer would be late.
    """

    def __init__(
        self,
        side: Side,
        model: Model,
        reading: Reading,
        *,
        tag: Tag = None,
        threads: SideThreads | None = None,
        accept: Accept | None = None,
        render: Render | None = None,
        decide: Decide | None = None,
        unreadable_is_error: bool = True,
        spend: Callable[[float], None] | None = None,
        brief_shadows: bool = False,
    ) -> None:
        """Score `model` as `side`.

        `accept` checks that an answer can be served. `render` converts an answer, after its scores
        were read, to the content that is sent. `decide` applies thresholds that come with a call
        instead of the model's own. With `unreadable_is_error` off, an answer whose score cannot be
        read is served and recorded without scores (the primary's answer is the caller's, whether it
        can be read or not). `spend` gets the seconds of each background call. With `brief_shadows`,
        background calls are few, because each scores many shadows: see `SideThreads.submit`.
        """
        self.side = side
        self._tag = tag
        self._model = model
        self._reading = reading
        self._accept = accept
        self._render = render
        self._decide = decide
        self._unreadable_is_error = unreadable_is_error
        self._spend = spend
        self._brief_shadows = brief_shadows
        self.is_async = _is_async(model)
        self._threads = threads or SideThreads(f"{side}-model")

    @property
    def tag(self) -> str | None:
        """Return the tag of the model; None if it is unknown."""
        return self._tag() if callable(self._tag) else self._tag

    async def score(
        self,
        call: Call | Exception,
        limit: float | None,
        thresholds: Mapping[str, float] | None = None,
        *,
        position: QueuePosition | None = None,
    ) -> Scored:
        """Make `call` within `limit` seconds (None: no limit), and read its answer.

        `thresholds` are used in place of the model's own, by output name. `position` tells a caller
        that stops waiting whether the call had begun.

        An exception in place of a call, because the call could not be built, is the side's error.
        """
        outcome = await self.result(call, limit, position=position)
        return outcome if isinstance(outcome, Scored) else await self.read(outcome, thresholds)

    async def result(
        self, call: Call | Exception, limit: float | None, *, position: QueuePosition | None = None
    ) -> CallResult | Scored:
        """Make `call` and return its answer, not read yet; a Scored if it has no answer."""
        if isinstance(call, Exception):
            return self.failed(Status.ERROR, call, None)
        position = position or QueuePosition()
        current_position.set(position)
        if self.is_async:
            outcome = await self._await(call, limit)
        elif limit is not None and self._threads.all_stuck:
            return self.failed(Status.SHED, SideStuckError(f"the {self.side} hangs"), None)
        else:
            outcome = await self._await_thread(call, limit)
        if self._spend is not None and in_background.get():
            self._spend(limit or 0.0 if outcome is None else _seconds_spent(outcome))
        if outcome is None:
            return self.expired(limit, position)
        if outcome.error is not None:
            return self.failed(Status.ERROR, outcome.error, outcome.duration)
        return outcome

    def expired(self, limit: float | None, position: QueuePosition) -> Scored:
        """Return the result of a call that did not end within `limit` seconds."""
        if position.in_line:
            return self.failed(Status.SHED, busy(self.side, limit), None)
        error = TimeoutError(f"the {self.side} took longer than {limit} s")
        return self.failed(Status.TIMEOUT, error, limit)

    def not_scored(self, status: Status) -> Scored:
        """Return the result of a call that was shed or skipped."""
        return Scored(Observation(status, model=self.tag))

    def close(self) -> None:
        """Let the side's threads end."""
        self._threads.close()

    async def _await(self, call: Call, limit: float | None) -> CallResult | None:
        if limit is None:
            return await guard_async(self._model, call)
        running = asyncio.create_task(guard_async(self._model, call))
        try:
            done, _ = await asyncio.wait({running}, timeout=limit)
        except asyncio.CancelledError:
            running.cancel()
            raise
        if done:
            return running.result()
        running.cancel()  # not awaited, because the model may swallow the cancellation
        return None

    async def _await_thread(self, call: Call, limit: float | None) -> CallResult | None:
        running = self._threads.submit(
            lambda: guard(self._model, call), is_brief=self._brief_shadows
        )
        try:
            if limit is None:  # saves one iteration of the event loop
                return await running.future
            done, _ = await asyncio.wait({running.future}, timeout=limit)
        except asyncio.CancelledError:
            self._threads.abandon(running)
            raise
        if done:
            return running.future.result()
        if running.has_ended:  # but its result is reported together with a later call's
            return running.value
        self._threads.abandon(running)
        return None

    async def read(
        self, outcome: CallResult, thresholds: Mapping[str, float] | None = None
    ) -> Scored:
        """Read the answer of a call that has ended without an error."""
        scored = self._observed(outcome, thresholds or {})
        if not scored.ok:
            return scored
        try:
            if self._accept is not None:
                await self._accept(scored.answer)
            if self._render is None:
                return scored
            sent = outcome.rendered if scored.answer is outcome.value else None
            if sent is None:
                sent = await self._render(scored.answer)
            return Scored(scored.observation, sent)
        except Exception as error:
            return self.failed(Status.ERROR, error, outcome.duration)

    def _observed(self, outcome: CallResult, tuned: Mapping[str, float]) -> Scored:
        answer = outcome.value
        try:
            if tuned and self._decide is not None:
                answer = self._decide(answer, tuned)
            scores = self._reading.scores(answer)
            thresholds = {**self._reading.thresholds(answer), **tuned}
            values = self._reading.values(answer)
        except Exception as error:
            if self._unreadable_is_error:
                return self.failed(Status.ERROR, error, outcome.duration)
            return Scored(
                Observation(
                    Status.OK,
                    duration=outcome.duration,
                    model=outcome.model or self.tag,
                    error=type(error).__name__,
                ),
                answer,
            )
        return Scored(
            Observation(
                Status.OK,
                scores=scores,
                thresholds=thresholds,
                decisions=self._reading.decisions(scores, thresholds),
                values=values,
                duration=outcome.duration,
                model=outcome.model or self.tag,
            ),
            answer,
        )

    def failed(self, status: Status, error: BaseException, duration: float | None) -> Scored:
        """Return the result of a call without an answer."""
        observation = Observation(
            status, duration=duration, model=self.tag, error=type(error).__name__
        )
        return Scored(observation, error=error)


def busy(side: Side, limit: float | None) -> SideBusyError:
    """Return the error of a call that waited in the queue for `limit` seconds and did not begin."""
    return SideBusyError(f"the {side} was busy with other calls for {limit} s")


def _seconds_spent(outcome: CallResult) -> float:
    return (outcome.duration or 0.0) if outcome.processor is None else outcome.processor


def _is_async(model: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(model) or inspect.iscoroutinefunction(
        getattr(model, "__call__", None)  # noqa: B004 - an object may have an async __call__
    )
