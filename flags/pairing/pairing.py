"""The core of the plugin: score both sides of a request, answer first, record the pair."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from flags.errors import SideBusyError
from flags.pairing.assignment import Assign, Assignment, Side
from flags.pairing.call_queue import QueuePosition, in_background
from flags.pairing.delivery import Answer, Delivery
from flags.pairing.limits import Limits
from flags.pairing.observation import PairSink, Status
from flags.pairing.pair_recorder import Measure, PairRecorder
from flags.pairing.reading import Reading
from flags.pairing.request import Request, Seen
from flags.pairing.scorer import Scored, Scorer
from flags.pairing.shadow_batch import ShadowBatch
from flags.pairing.shadow_budget import ShadowBudget
from flags.pairing.tuning import Tuning
from flags.pairing.unit import RequestUnits, Units

logger = logging.getLogger(__name__)


class Pairing:
    """Score both sides of each request; the caller gets the active one's answer.

    The answer leaves as soon as the active side is done; the shadow finishes in the background.
    What is not needed for the answer, a candidate's shadow and the record of the pair, begins once
    it has left: until then the processor is the answer's.
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
        """Pair both scorers' sides; `measure` says what an answer of bytes holds.

        Without `units`, each request is recorded as one of its own. With a `batch`, the candidate's
        shadows are scored in that; with a `budget`, shadows that nobody may come to depend on are
        sampled. With `lazy_insurance`, the primary is scored beside an active candidate only once
        that has failed, or as a shadow.
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

        Raises what the primary raised, or TimeoutError past its time limit, where the caller
        depends on the primary; a failure of the candidate is never raised.
        """
        return await self._begun(request)

    async def drain(self, within: float) -> int:
        """Wait up to `within` seconds for unfinished pairs; return how many remain."""
        if self._unfinished:
            await asyncio.wait(set(self._unfinished), timeout=within)
        return len(self._unfinished)

    def close(self) -> None:
        """Let the threads of both sides end."""
        for scorer in self._scorers.values():
            scorer.close()

    def _begun(self, request: Request) -> "asyncio.Future[Answer]":
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._pair(request, waiting))
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        task.add_done_callback(lambda done: _leave_nobody_waiting(done, waiting))
        if (on_recorded := request.on_recorded) is not None:
            task.add_done_callback(lambda _: on_recorded())
        return waiting

    async def _pair(self, request: Request, waiting: "asyncio.Future[Answer]") -> None:
        seen = Seen.of(request, self._reading, self._units)  # before a model can change its input
        assignment = self._assigned(request)
        delivery = Delivery(assignment, waiting)
        units = self._units_of(request, seen, assignment)
        unit = units.unit or request.request_id
        if assignment.active is Side.PRIMARY:
            primary = await self._score(request, Side.PRIMARY, assignment)
            delivery.deliver(Side.PRIMARY, primary)
            candidate = await self._afterwards(request, Side.CANDIDATE, assignment, unit)
        elif self._is_lazy:
            primary, candidate = await self._uninsured(request, assignment, delivery, unit)
        else:
            primary, candidate = await self._insured(request, assignment, delivery)
        await self._recorder.record(request, seen, units, delivery, primary, candidate)

    async def _insured(
        self, request: Request, assignment: Assignment, delivery: Delivery
    ) -> tuple[Scored, Scored]:
        """Score the primary beside the active candidate, whose place it may have to take."""
        position = QueuePosition()
        # First in the loop's queue: over a network its call waits, and the primary's then does not.
        scoring = asyncio.create_task(self._score(request, Side.CANDIDATE, assignment))
        insurance = asyncio.create_task(self._insurance_score(request, assignment, position))
        candidate = await scoring
        if candidate.ok:
            delivery.deliver(Side.CANDIDATE, candidate)
            primary = await self._no_longer_needed(insurance, position)
        else:
            primary = await self._primary_instead(request, assignment, insurance)
            delivery.deliver(Side.PRIMARY, primary)
        await _departed(request)
        return primary, candidate

    async def _insurance_score(
        self, request: Request, assignment: Assignment, position: QueuePosition
    ) -> Scored:
        await asyncio.sleep(0)  # until the candidate's call has begun
        return await self._shadow(request, Side.PRIMARY, assignment, position)

    async def _uninsured(
        self, request: Request, assignment: Assignment, delivery: Delivery, unit: str
    ) -> tuple[Scored, Scored]:
        """Score the primary once the active candidate has failed, or as any shadow."""
        candidate = await self._score(request, Side.CANDIDATE, assignment)
        if candidate.ok:
            delivery.deliver(Side.CANDIDATE, candidate)
            return await self._afterwards(request, Side.PRIMARY, assignment, unit), candidate
        primary = await self._score(request, Side.PRIMARY, assignment)
        delivery.deliver(Side.PRIMARY, primary)
        await _departed(request)
        return primary, candidate

    async def _afterwards(
        self, request: Request, side: Side, assignment: Assignment, unit: str
    ) -> Scored:
        """Score `side` once the answer has left, if the budget has room for the unit."""
        await _departed(request)
        in_background.set(True)  # in this request's task only
        return await self._within_budget(
            side,
            assignment,
            unit,
            lambda: self._shadow(request, side, assignment, unneeded=True),
        )

    async def _within_budget(
        self, side: Side, assignment: Assignment, unit: str, score: Callable[[], Awaitable[Scored]]
    ) -> Scored:
        """Score a shadow if the budget has room for its unit, and say at which share it was."""
        if self._budget is None or not assignment.shadow:
            return await score()
        admitted, share = self._budget.admits(unit), self._budget.share
        if not admitted:
            return self._scorers[side].not_scored(Status.SKIPPED).sampled(share)
        return (await score()).sampled(share)

    def _assigned(self, request: Request) -> Assignment:
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
        unneeded: bool = False,
    ) -> Scored:
        """Score `side`; as an insurance the primary has its own limit, until it is `unneeded`."""
        if not assignment.shadow:
            return self._scorers[side].not_scored(Status.SKIPPED)
        if self._shadows >= self._most_shadows(side):
            return self._scorers[side].not_scored(Status.SHED)
        self._shadows += 1
        try:
            if side is Side.CANDIDATE and self._batch is not None:
                return await self._batched(request, assignment, self._batch)
            return await self._score(request, side, assignment, shadow=unneeded, position=position)
        finally:
            self._shadows -= 1

    def _most_shadows(self, side: Side) -> int:
        limits = self._limits
        batched = side is Side.CANDIDATE and self._batch is not None
        return limits.batched_concurrency if batched else limits.shadow_concurrency

    async def _batched(
        self, request: Request, assignment: Assignment, batch: ShadowBatch
    ) -> Scored:
        limit = self._limits.of(Side.CANDIDATE, shadow=True)
        tuned = self._tuning.thresholds(assignment.payload)
        return await batch.score(request.request_id, request.candidate, limit, tuned)

    async def _no_longer_needed(
        self, insurance: "asyncio.Task[Scored]", position: QueuePosition
    ) -> Scored:
        """Wait for the primary as for any shadow, now that the candidate's answer has left."""
        limit = self._limits.of(Side.PRIMARY, shadow=True)
        done, _ = await asyncio.wait({insurance}, timeout=limit)
        if done:
            return insurance.result()
        insurance.cancel()
        return self._scorers[Side.PRIMARY].given_up(limit, position)

    async def _primary_instead(
        self, request: Request, assignment: Assignment, insurance: "asyncio.Task[Scored]"
    ) -> Scored:
        primary = await insurance
        has_waited = isinstance(primary.error, SideBusyError)
        if not has_waited and primary.observation.status in (Status.SKIPPED, Status.SHED):
            return await self._score(request, Side.PRIMARY, assignment)
        return primary

    def _units_of(self, request: Request, seen: Seen, assignment: Assignment) -> RequestUnits:
        if self._units is None:
            return RequestUnits()
        return self._units.of_request(seen.unit, assignment, request.attributes)


async def _departed(request: Request) -> None:
    if request.answer_sent is not None:
        await request.answer_sent.awaited()


def _leave_nobody_waiting(task: "asyncio.Task[None]", waiting: "asyncio.Future[Answer]") -> None:
    """Fail the answer of a pair that ended without one, which only a fault of ours does."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("a pair could not be made", exc_info=error)
    if not waiting.done():
        waiting.set_exception(RuntimeError("the request was not answered"))
