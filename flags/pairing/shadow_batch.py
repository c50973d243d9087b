"""Gathered shadows, scored in one call of a method that takes many inputs."""

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
from flags.pairing.input_copy import copy_mutable
from flags.pairing.observation import Batched, Observation, Status
from flags.pairing.scorer import Scored, Scorer

logger = logging.getLogger(__name__)

_WARNING_INTERVAL: Final = 60.0
"""Least seconds between two warnings about failed calls."""

_TOLERANCE: Final = 1e-3
"""Relative difference that is allowed between a score from a batch and one from a single call. Sums
in another order and half-precision floats make such differences."""


class BatchForm(Protocol):
    """The conversion between single calls and one call of a batch method."""

    def row(self, call: Call) -> Any:
        """Return the input of one call, without arguments that belong to its request alone."""

    def joined(self, rows: Sequence[Any]) -> Any:
        """Return the argument for the batch method."""

    def split(self, answer: Any, rows: Sequence[Any]) -> Sequence[Any]:
        """Return one answer per row, in order; raises ValueError if their numbers differ.

        An exception in place of an answer is the error of that row.
        """


@dataclass(frozen=True, slots=True)
class _RowResult:
    """The result of a batch call for one row; without result and failure, the row is scored singly.

    `result` is the row's answer or its error; `failure` says that the whole call was shed.
    """

    batched: Batched
    result: CallResult | None = None
    failure: Scored | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    row: Any
    result: "asyncio.Future[_RowResult]"


class ShadowBatch:
    """Score shadows that begin together in one call; a random share is scored singly as well.

    Only the drawn shadows have durations. They are drawn by the request's id, so that the sample
    does not depend on load or input. Their single results are compared with their batch results.
    """

    def __init__(
        self,
        scorer: Scorer,
        batch_scorer: Scorer,
        form: BatchForm,
        *,
        max_size: int,
        single_share: float,
    ) -> None:
        """Score batches of up to `max_size` inputs by `batch_scorer`, single inputs by `scorer`.

        `single_share` is the share of shadows that are scored singly as well.
        """
        self._scorer = scorer
        self._batch_scorer = batch_scorer
        self._form = form
        self._single_share = single_share
        self._size = BatchSize(max_size)
        self._gathered: list[_Entry] = []
        self._running: set[asyncio.Task[None]] = set()
        self._warned_at = -math.inf

    async def score(
        self,
        request_id: str,
        call: Call | Exception,
        limit: float | None,
        thresholds: Mapping[str, float] | None = None,
    ) -> Scored:
        """Score the shadow of a request; see `Scorer.score`."""
        if isinstance(call, Exception):
            return await self._scorer.score(call, limit, thresholds)
        row = self._form.row(call)
        if not is_drawn("single", request_id, self._single_share):
            row_result = await self._gather(row, limit)
            return await self._scored(row_result, request_id, call, limit, thresholds)
        try:
            row = copy_mutable(row)  # otherwise one of the calls could change the other's input
        except Exception:
            return await self._scorer.score(call, limit, thresholds)
        gathered = self._gather(row, limit)
        scored = await self._scorer.score(call, limit, thresholds)
        if scored.observation.duration is not None:
            self._size.record_single_call(scored.observation.duration)
        row_result = await gathered
        agrees = None
        if row_result.result is not None:
            agrees = _agree(scored, await self._read(row_result.result, thresholds))
        batched = replace(row_result.batched, agrees=agrees)
        return _with_batched(scored, batched, scored.observation.duration)

    def _gather(self, row: Any, limit: float | None) -> "asyncio.Future[_RowResult]":
        loop = asyncio.get_running_loop()
        entry = _Entry(row, loop.create_future())
        if not self._gathered:  # the batch begins after this iteration of the event loop
            loop.call_soon(self._begin, limit)
        self._gathered.append(entry)
        return entry.result

    def _begin(self, limit: float | None) -> None:
        context = contextvars.Context()  # an empty one, because the call belongs to many requests
        context.run(in_background.set, True)
        entries, self._gathered = self._gathered, []
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._score(entries, limit), context=context)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _score(self, entries: list[_Entry], limit: float | None) -> None:
        """Score `entries` in several calls, so that callers' calls can run in between."""
        begun = 0
        while begun < len(entries):
            chunk = entries[begun : begun + self._size.current]
            begun += len(chunk)
            try:
                results = await self._call(chunk, limit)
            except Exception as error:  # a bug here must not cost a pair
                logger.exception("a batch could not be made")
                results = _to_score_singly(chunk, type(error).__name__)
            for entry, result in zip(chunk, results, strict=True):
                if not entry.result.done():  # done: cancelled with the request's task
                    entry.result.set_result(result)

    async def _call(self, entries: list[_Entry], limit: float | None) -> list[_RowResult]:
        size = len(entries)
        if size == 1:
            return [_RowResult(Batched(1))]
        rows = [entry.row for entry in entries]
        try:
            outcome = await self._batch_scorer.result(Call((self._form.joined(rows),)), limit)
            if isinstance(outcome, Scored):
                return self._failed(outcome, entries)
            answers = self._form.split(outcome.value, rows)
        except Exception as error:
            self._warn(size, error)
            return _to_score_singly(entries, type(error).__name__)
        if outcome.duration is not None:
            self._size.record_call(size, outcome.duration)
        batched = Batched(size)
        return [_RowResult(batched, result=_result(answer, outcome.model)) for answer in answers]

    def _failed(self, outcome: Scored, entries: list[_Entry]) -> list[_RowResult]:
        if outcome.observation.status is Status.SHED:
            return [_RowResult(Batched(len(entries)), failure=outcome) for _ in entries]
        error = outcome.error or RuntimeError("the batch was not scored")
        self._warn(len(entries), error)
        return _to_score_singly(entries, type(error).__name__)

    def _warn(self, size: int, error: BaseException) -> None:
        self._size.record_failure(size)
        now = time.monotonic()
        if now - self._warned_at > _WARNING_INTERVAL:
            self._warned_at = now
            logger.warning(
                "a batch of %d shadows failed, each is scored singly: %s: %s",
                size,
                type(error).__name__,
                error,
            )

    async def _scored(
        self,
        row_result: _RowResult,
        request_id: str,
        call: Call,
        limit: float | None,
        thresholds: Mapping[str, float] | None,
    ) -> Scored:
        """Return the observation of a row that was not drawn, without a duration.

        Scores the row singly if the batch call did not.
        """
        batched = row_result.batched
        if row_result.failure is not None:
            return _with_batched(row_result.failure, batched)
        if row_result.result is not None:
            return _with_batched(await self._read(row_result.result, thresholds), batched)
        scored = await self._scorer.score(call, limit, thresholds)
        if batched.error is not None and scored.observation.status is Status.ERROR:
            logger.warning(
                "request %s fails by itself too (%s), and failed a batch of %d",
                request_id,
                scored.observation.error,
                batched.size,
            )
        return _with_batched(scored, batched)

    async def _read(self, result: CallResult, thresholds: Mapping[str, float] | None) -> Scored:
        if result.error is not None:
            return self._scorer.failed(Status.ERROR, result.error, None)
        return await self._scorer.read(result, thresholds)


def _to_score_singly(entries: list[_Entry], error: str) -> list[_RowResult]:
    return [_RowResult(Batched(len(entries), error=error)) for _ in entries]


def _result(answer: Any, model: str | None) -> CallResult:
    error = answer if isinstance(answer, BaseException) else None
    return CallResult(None if error is not None else answer, error, None, model=model)


def _with_batched(scored: Scored, batched: Batched, duration: float | None = None) -> Scored:
    observation = replace(scored.observation, batched=batched, duration=duration)
    return replace(scored, observation=observation)


def _agree(single: Scored, batched: Scored) -> bool | None:
    """Say whether both results are equal within the tolerance; None if one was not scored."""
    one, other = single.observation, batched.observation
    if not {one.status, other.status} <= {Status.OK, Status.ERROR}:
        return None
    is_equal = one.status is other.status and one.decisions == other.decisions
    return is_equal and one.values == other.values and _are_scores_close(one, other)


def _are_scores_close(one: Observation, other: Observation) -> bool:
    return one.scores.keys() == other.scores.keys() and all(
        math.isclose(score, other.scores[name], rel_tol=_TOLERANCE, abs_tol=1e-6)
        for name, score in one.scores.items()
    )
