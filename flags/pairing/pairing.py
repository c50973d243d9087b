"""The core of the plugin: score both sides of a request, answer first, record the pair."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from flags.errors import CallerLeftError, SideBusyError
from flags.pairing.assignment import Assign, Assignment, Side
from flags.pairing.call_queue import QueuePosition, in_background
from flags.pairing.delivery import Answer, Delivery
from flags.pairing.limits import Limits
from flags.pairing.observation import PairSink, Status
from flags.pairing.pair_recorder import Measure, PairRecorder
from flags.pairing.reading import Reading
from flags.pairing.request import Request, RequestSnapshot
from flags.pairing.scorer import Scored, Scorer
from flags.pairing.shadow_batch import ShadowBatch
from flags.pairing.shadow_budget import ShadowBudget
from flags.pairing.tuning import Tuning
from flags.pairing.unit import RequestUnits, Units

logger = logging.getLogger(__name__)

REQUEST_CANCELLED: Final = "the request was cancelled before its answer"


class Pairing:
    """Score both sides of each request; the caller gets the active side's answer.

    The answer is sent as soon as the active side is done; the shadow finishes in the background.
    Work that the answer does not need (the candidate's shadow and the recording of the pair) begins
    after the answer was sent, so that it takes no processor time from the answer.
    Every accepted request ends in exactly one recorded pair, even if its caller went away.
    """

    def __init__(
        self,
        primary: Scorer,
        candidate: Scorer,
        *,
        assign: Assign,
        reading: Reading,
        sink: PairSink,
        limits: Limits | None = None,
        tuning: Tuning | None = None,
        measure: Measure | None = None,
        units: Units | None = None,
        batch: ShadowBatch | None = None,
        budget: ShadowBudget | None = None,
        lazy_insurance: bool = False,
    ) -> None:
        """Pair the sides of both scorers.

        `measure` returns length and digest of an answer of bytes. Without `units`, each request is
        its own unit. With a `batch`, the candidate's shadows are scored in batches. With a
        `budget`, shadows are sampled, but not the primary's calls that insure an active candidate.
        With `lazy_insurance`, the primary is scored only after an active candidate has failed, or
        as a shadow once the candidate's answer was sent.
        """
        self._scorers = {Side.PRIMARY: primary, Side.CANDIDATE: candidate}
        self._assign = assign
        self._reading = reading
        self._recorder = PairRecorder(sink, reading.texts, measure)
        self._limits = limits or Limits()
        self._tuning = tuning or Tuning((), None)
        self._units = units
        self._batch = batch
        self._budget = budget
        self._is_lazy = lazy_insurance
        self._shadows = 0
        self._unfinished: set[asyncio.Task[None]] = set()

    async def answer(self, request: Request) -> Answer:
        """Return the answer to `request`.

        If the primary has to answer, raises the error of its model, or TimeoutError after its time
        limit. A failure of the candidate is never raised. If it is cancelled, as at the time limit
        of the service, so is an asynchronous call of the primary that answers.
        """
        return await self._start_pair(request)

    async def drain(self, within: float) -> int:
        """Wait up to `within` seconds for unfinished pairs; return how many remain."""
        if self._unfinished:
            await asyncio.wait(set(self._unfinished), timeout=within)
        return len(self._unfinished)

    def close(self) -> None:
        """Let the threads of both sides end."""
        for scorer in self._scorers.values():
            scorer.close()

    def _start_pair(self, request: Request) -> "asyncio.Future[Answer]":
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._pair(request, answered))
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        task.add_done_callback(lambda done: _fail_if_unanswered(done, answered))
        if (on_recorded := request.on_recorded) is not None:
            task.add_done_callback(lambda _: on_recorded())
        return answered

    async def _pair(self, request: Request, answered: "asyncio.Future[Answer]") -> None:
        snapshot = RequestSnapshot.of(request, self._reading, self._units)
        assignment = self._assignment_of(request)
        delivery = Delivery(assignment, answered)
        units = self._units_of(request, snapshot, assignment)
        unit = units.unit or request.request_id
        if assignment.active is Side.PRIMARY:
            primary = await self._score_for_caller(request, assignment, delivery)
            delivery.deliver(Side.PRIMARY, primary)
            candidate = await self._score_after_answer(request, Side.CANDIDATE, assignment, unit)
        elif self._is_lazy:
            primary, candidate = await self._score_lazily(request, assignment, delivery, unit)
        else:
            primary, candidate = await self._score_insured(request, assignment, delivery)
        await self._recorder.record(request, snapshot, units, delivery, primary, candidate)

    async def _score_insured(
        self, request: Request, assignment: Assignment, delivery: Delivery
    ) -> tuple[Scored, Scored]:
        """Score the primary at the same time as the active candidate, which may fail."""
        position = QueuePosition()
        # The candidate begins first: if it is remote, its call waits while the primary's runs.
        scoring = asyncio.create_task(self._score(request, Side.CANDIDATE, assignment))
        insurance = asyncio.create_task(self._insurance_score(request, assignment, position))
        candidate = await scoring
        if candidate.ok:
            delivery.deliver(Side.CANDIDATE, candidate)
            primary = await self._finish_as_shadow(insurance, position)
        else:
            primary = await self._fallback(request, assignment, delivery, insurance)
            delivery.deliver(Side.PRIMARY, primary)
        await _wait_until_sent(request)
        return primary, candidate

    async def _insurance_score(
        self, request: Request, assignment: Assignment, position: QueuePosition
    ) -> Scored:
        await asyncio.sleep(0)  # until the candidate's call has begun
        return await self._shadow(request, Side.PRIMARY, assignment, position)

    async def _score_lazily(
        self, request: Request, assignment: Assignment, delivery: Delivery, unit: str
    ) -> tuple[Scored, Scored]:
        """Score the active candidate, then the primary: as the answer if the candidate failed."""
        candidate = await self._score(request, Side.CANDIDATE, assignment)
        if candidate.ok:
            delivery.deliver(Side.CANDIDATE, candidate)
            primary = await self._score_after_answer(request, Side.PRIMARY, assignment, unit)
            return primary, candidate
        primary = await self._score_for_caller(request, assignment, delivery)
        delivery.deliver(Side.PRIMARY, primary)
        await _wait_until_sent(request)
        return primary, candidate

    async def _score_after_answer(
        self, request: Request, side: Side, assignment: Assignment, unit: str
    ) -> Scored:
        """Score the shadow `side` once the answer was sent, if the budget admits the unit."""
        await _wait_until_sent(request)
        in_background.set(True)  # in this request's task only
        return await self._within_budget(
            side,
            assignment,
            unit,
            lambda: self._shadow(request, side, assignment, answer_sent=True),
        )

    async def _within_budget(
        self, side: Side, assignment: Assignment, unit: str, score: Callable[[], Awaitable[Scored]]
    ) -> Scored:
        """Score a shadow if the budget admits its unit; record the share of sampled units."""
        if self._budget is None or not assignment.shadow:
            return await score()
        admitted, share = self._budget.admits(unit), self._budget.share
        if not admitted:
            return self._scorers[side].not_scored(Status.SKIPPED).sampled(share)
        return (await score()).sampled(share)

    def _assignment_of(self, request: Request) -> Assignment:
        try:
            assignment = self._assign(request.request_id, request.attributes)
        except Exception as error:  # rule: every failure of the flag leaves the primary answering
            logger.exception("request %s could not be assigned", request.request_id)
            assignment = Assignment(Side.PRIMARY, "", "error", error=type(error).__name__)
        if request.on_assigned is not None:
            request.on_assigned(assignment)
        return assignment

    async def _score(
        self,
        request: Request,
        side: Side,
        assignment: Assignment,
        *,
        shadow: bool = False,
        position: QueuePosition | None = None,
    ) -> Scored:
        limit = self._limits.of(side, shadow=shadow)
        if side is Side.PRIMARY:
            return await self._scorers[side].score(request.primary, limit, position=position)
        tuned = self._tuning.thresholds(assignment.payload)
        return await self._scorers[side].score(request.candidate, limit, tuned, position=position)

    async def _shadow(
        self,
        request: Request,
        side: Side,
        assignment: Assignment,
        position: QueuePosition | None = None,
        *,
        answer_sent: bool = False,
    ) -> Scored:
        """Score `side` as a shadow, or the primary as insurance of an active candidate.

        With `answer_sent` the caller has its answer, and a shadow's time limit holds. Otherwise the
        caller may need this side's answer, and the side's own limit holds.
        """
        if not assignment.shadow:
            return self._scorers[side].not_scored(Status.SKIPPED)
        if self._shadows >= self._max_shadows(side):
            return self._scorers[side].not_scored(Status.SHED)
        self._shadows += 1
        try:
            if side is Side.CANDIDATE and self._batch is not None:
                return await self._batched(request, assignment, self._batch)
            return await self._score(
                request, side, assignment, shadow=answer_sent, position=position
            )
        finally:
            self._shadows -= 1

    def _max_shadows(self, side: Side) -> int:
        limits = self._limits
        batched = side is Side.CANDIDATE and self._batch is not None
        return limits.batched_concurrency if batched else limits.shadow_concurrency

    async def _batched(
        self, request: Request, assignment: Assignment, batch: ShadowBatch
    ) -> Scored:
        limit = self._limits.of(Side.CANDIDATE, shadow=True)
        tuned = self._tuning.thresholds(assignment.payload)
        return await batch.score(request.request_id, request.candidate, limit, tuned)

    async def _finish_as_shadow(
        self, insurance: "asyncio.Task[Scored]", position: QueuePosition
    ) -> Scored:
        """Wait for the primary with a shadow's time limit: the candidate has answered."""
        limit = self._limits.of(Side.PRIMARY, shadow=True)
        done, _ = await asyncio.wait({insurance}, timeout=limit)
        if done:
            return insurance.result()
        insurance.cancel()
        return self._scorers[Side.PRIMARY].expired(limit, position)

    async def _fallback(
        self,
        request: Request,
        assignment: Assignment,
        delivery: Delivery,
        insurance: "asyncio.Task[Scored]",
    ) -> Scored:
        """Return the primary's result in place of a failed candidate's.

        Scores the primary now if its insurance was not scored, unless the primary was too busy.
        """
        primary = await self._for_caller(insurance, delivery)
        has_waited = isinstance(primary.error, SideBusyError)
        if not has_waited and primary.observation.status in (Status.SKIPPED, Status.SHED):
            return await self._score_for_caller(request, assignment, delivery)
        return primary

    async def _score_for_caller(
        self, request: Request, assignment: Assignment, delivery: Delivery
    ) -> Scored:
        return await self._for_caller(self._score(request, Side.PRIMARY, assignment), delivery)

    async def _for_caller(self, scoring: Awaitable[Scored], delivery: Delivery) -> Scored:
        """Return the primary's result, for which the caller waits.

        If the request is cancelled, as at the service's own time limit, an asynchronous call is
        cancelled with it, as without this plugin.
        """
        scorer = self._scorers[Side.PRIMARY]
        scored = await delivery.awaited(scoring, lambda: scorer.is_async)
        return scored or scorer.failed(Status.TIMEOUT, CallerLeftError(REQUEST_CANCELLED), None)

    def _units_of(
        self, request: Request, snapshot: RequestSnapshot, assignment: Assignment
    ) -> RequestUnits:
        if self._units is None:
            return RequestUnits()
        return self._units.hashes(snapshot.unit, assignment, request.attributes)


async def _wait_until_sent(request: Request) -> None:
    if request.answer_sent is not None:
        await request.answer_sent.wait()


def _fail_if_unanswered(task: "asyncio.Task[None]", answered: "asyncio.Future[Answer]") -> None:
    """Raise an error to the caller if the pair ended without an answer: a bug in this plugin."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("a pair could not be made", exc_info=error)
    if not answered.done():
        answered.set_exception(RuntimeError("the request was not answered"))
