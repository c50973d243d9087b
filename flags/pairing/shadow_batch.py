"""Shadows that gathered, scored in one call of a method that takes many inputs."""

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from flags.pairing.batch_size import BatchSize
from flags.pairing.call import Call, CallResult
from flags.pairing.call_queue import in_background
from flags.pairing.draw import is_drawn
from flags.pairing.input_copy import copied
from flags.pairing.observation import Batched, Observation, Status
from flags.pairing.scorer import Scored, Scorer

logger = logging.getLogger(__name__)

_QUIET: Final = 60.0
"""Seconds between two warnings of calls that failed."""

_TOLERANCE: Final = 1e-3
"""By how much of itself a score may differ between both ways: the order of a sum, half floats."""


class BatchForm(Protocol):
    """Say how inputs become one, and how their answers are told apart."""

    def row(self, call: Call) -> Any:
        """Return the input of one call: what belongs to its request alone is left out."""

    def joined(self, rows: Sequence[Any]) -> Any:
        """Return what the method is called with."""

    def split(self, answer: Any, rows: Sequence[Any]) -> Sequence[Any]:
        """Return the answer to each row, in order; raises ValueError if they are not as many.

        An exception in the place of an answer is the error of that row.
        """


@dataclass(frozen=True, slots=True)
class _Part:
    """What a call came to for one of its rows; neither result nor failure: score it singly."""

    batched: Batched
    result: CallResult | None = None
    failure: Scored | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    row: Any
    part: "asyncio.Future[_Part]"


class ShadowBatch:
    """Score what begins together in one call; a drawn share is scored singly as well.

    Durations are those of the drawn alone: a draw by the request's id knows nothing of load or
    input. What they came to in the call is compared with what they came to by themselves.
    """

    def __init__(
        self,
        scorer: Scorer,
        many: Scorer,
        form: BatchForm,
        *,
        most: int,
        single: float,
    ) -> None:
        """Have `many`, a method over many inputs, score at most so many, and `scorer` the rest.

        `single` is the share that is scored by itself.
        """
        self._scorer = scorer
        self._many = many
        self._form = form
        self._single = single
        self._size = BatchSize(most)
        self._gathered: list[_Entry] = []
        self._running: set[asyncio.Task[None]] = set()
        self._warned = -math.inf

    async def score(
        self,
        request_id: str,
        call: Call | Exception,
        limit: float | None,
        thresholds: Mapping[str, float] | None = None,
    ) -> Scored:
        """Return what became of the shadow of a request; see `Scorer.score`."""
        if isinstance(call, Exception):
            return await self._scorer.score(call, limit, thresholds)
        row = self._form.row(call)
        if not is_drawn("single", request_id, self._single):
            part = await self._gather(row, limit)
            return await self._by(part, request_id, call, limit, thresholds)
        try:
            row = copied(row)  # or the one call could change the other's
        except Exception:
            return await self._scorer.score(call, limit, thresholds)
        gathered = self._gather(row, limit)
        scored = await self._scorer.score(call, limit, thresholds)
        if scored.observation.duration is not None:
            self._size.single_took(scored.observation.duration)
        part = await gathered
        agrees = None
        if part.result is not None:
            agrees = _agree(scored, await self._read(part.result, thresholds))
        return _with(scored, replace(part.batched, agrees=agrees), scored.observation.duration)

    def _gather(self, row: Any, limit: float | None) -> "asyncio.Future[_Part]":
        loop = asyncio.get_running_loop()
        entry = _Entry(row, loop.create_future())
        if not self._gathered:  # all that begin in this turn of the loop come before the call
            loop.call_soon(self._begin, limit)
        self._gathered.append(entry)
        return entry.part

    def _begin(self, limit: float | None) -> None:
        context = contextvars.Context()  # of no request: it is for many
        context.run(in_background.set, True)
        entries, self._gathered = self._gathered, []
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._score(entries, limit), context=context)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _score(self, entries: list[_Entry], limit: float | None) -> None:
        """Score `entries`, some at a time: a call that somebody waits for comes in between."""
        begun = 0
        while begun < len(entries):
            some = entries[begun : begun + self._size.now]
            begun += len(some)
            try:
                parts = await self._parts(some, limit)
            except Exception as error:  # a fault of ours: every request has its pair
                logger.exception("a batch could not be made")
                parts = _singly(some, type(error).__name__)
            for entry, part in zip(some, parts, strict=True):
                if not entry.part.done():  # cancelled with the request's task
                    entry.part.set_result(part)

    async def _parts(self, entries: list[_Entry], limit: float | None) -> list[_Part]:
        size = len(entries)
        if size == 1:
            return [_Part(Batched(1))]
        rows = [entry.row for entry in entries]
        try:
            outcome = await self._many.result(Call((self._form.joined(rows),)), limit)
            if isinstance(outcome, Scored):
                return self._failed(outcome, entries)
            answers = self._form.split(outcome.value, rows)
        except Exception as error:
            self._warn(size, error)
            return _singly(entries, type(error).__name__)
        if outcome.duration is not None:
            self._size.took(size, outcome.duration)
        return [_Part(Batched(size), result=_result(answer, outcome.model)) for answer in answers]

    def _failed(self, outcome: Scored, entries: list[_Entry]) -> list[_Part]:
        if outcome.observation.status is Status.SHED:
            return [_Part(Batched(len(entries)), failure=outcome) for _ in entries]
        error = outcome.error or RuntimeError("the batch was not scored")
        self._warn(len(entries), error)
        return _singly(entries, type(error).__name__)

    def _warn(self, size: int, error: BaseException) -> None:
        self._size.failed(size)
        now = time.monotonic()
        if now - self._warned > _QUIET:
            self._warned = now
            logger.warning(
                "a batch of %d shadows failed, each is scored singly: %s: %s",
                size,
                type(error).__name__,
                error,
            )

    async def _by(
        self,
        part: _Part,
        request_id: str,
        call: Call,
        limit: float | None,
        thresholds: Mapping[str, float] | None,
    ) -> Scored:
        """Return the observation of a row that was not drawn: it has no duration."""
        if part.failure is not None:
            return _with(part.failure, part.batched)
        if part.result is not None:
            return _with(await self._read(part.result, thresholds), part.batched)
        scored = await self._scorer.score(call, limit, thresholds)
        if part.batched.error is not None and scored.observation.status is Status.ERROR:
            logger.warning(
                "request %s fails by itself too (%s), and failed a batch of %d",
                request_id,
                scored.observation.error,
                part.batched.size,
            )
        return _with(scored, part.batched)

    async def _read(self, result: CallResult, thresholds: Mapping[str, float] | None) -> Scored:
        if result.error is not None:
            return self._scorer.failed(Status.ERROR, result.error, None)
        return await self._scorer.read(result, thresholds)


def _singly(entries: list[_Entry], error: str) -> list[_Part]:
    return [_Part(Batched(len(entries), error=error)) for _ in entries]


def _result(answer: Any, model: str | None) -> CallResult:
    error = answer if isinstance(answer, BaseException) else None
    return CallResult(None if error is not None else answer, error, None, model=model)


def _with(scored: Scored, batched: Batched, duration: float | None = None) -> Scored:
    observation = replace(scored.observation, batched=batched, duration=duration)
    return replace(scored, observation=observation)


def _agree(single: Scored, batched: Scored) -> bool | None:
    """Say whether both ways came to the same; None where one was not scored."""
    ours, theirs = single.observation, batched.observation
    if not {ours.status, theirs.status} <= {Status.OK, Status.ERROR}:
        return None
    alike = ours.status is theirs.status and ours.decisions == theirs.decisions
    return alike and ours.values == theirs.values and _close(ours, theirs)


def _close(ours: Observation, theirs: Observation) -> bool:
    return ours.scores.keys() == theirs.scores.keys() and all(
        math.isclose(score, theirs.scores[name], rel_tol=_TOLERANCE, abs_tol=1e-6)
        for name, score in ours.scores.items()
    )
