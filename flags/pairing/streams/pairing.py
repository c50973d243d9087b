"""The pairing of two streams: the caller gets the active side's stream, the pair is recorded."""

import asyncio
from collections.abc import Awaitable

from flags.errors import CallerLeftError
from flags.pairing.assignment import Assign, Assignment, Side
from flags.pairing.delivery import Answer, Delivery
from flags.pairing.limits import Limits
from flags.pairing.observation import PairSink, Status
from flags.pairing.pairing import REQUEST_CANCELLED, Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request, RequestSnapshot
from flags.pairing.scorer import Scored
from flags.pairing.shadow_budget import ShadowBudget
from flags.pairing.streams.scorer import StreamScorer
from flags.pairing.streams.side_stream import SideStream
from flags.pairing.unit import Units


class StreamPairing(Pairing):
    """Pair an API whose answers are streams; the value of an Answer is a SideStream.

    The primary's stream can replace a failing candidate's only before the candidate's first item.
    The shadow's stream is consumed to its end in the background, only to be observed.
    """

    def __init__(
        self,
        primary: StreamScorer,
        candidate: StreamScorer,
        *,
        assign: Assign,
        reading: Reading,
        sink: PairSink,
        limits: Limits | None = None,
        units: Units | None = None,
        budget: ShadowBudget | None = None,
    ) -> None:
        super().__init__(
            primary,
            candidate,
            assign=assign,
            reading=reading,
            sink=sink,
            limits=limits,
            units=units,
            budget=budget,
        )
        self._streams = {Side.PRIMARY: primary, Side.CANDIDATE: candidate}

    async def answer(self, request: Request) -> Answer:
        """Return the stream that answers `request`, once its first item is available.

        The caller must consume the stream or leave it. If the primary has to answer, raises the
        error of its model before its first item, or TimeoutError. A failure of the candidate before
        its first item is never raised.
        """
        answered = self._start_pair(request)
        try:
            return await answered
        except asyncio.CancelledError:
            if not answered.cancelled() and answered.exception() is None:
                answered.result().value.leave()  # delivered just before the cancellation
            raise

    async def _pair(self, request: Request, answered: "asyncio.Future[Answer]") -> None:
        snapshot = RequestSnapshot.of(request, self._reading, self._units)
        assignment = self._assignment_of(request)
        delivery = Delivery(assignment, answered)
        units = self._units_of(request, snapshot, assignment)
        if assignment.active is Side.PRIMARY:
            primary = await self._serve(await self._begin_primary(request, delivery), delivery)
            candidate = await self._within_budget(
                Side.CANDIDATE,
                assignment,
                units.unit or request.request_id,
                lambda: self._score_shadow_stream(request, assignment),
            )
        else:
            insurance = self._begin_insurance(request, assignment)
            stream = await self._begin_candidate(request)
            if stream.status is Status.OK:
                in_background = asyncio.create_task(self._consume(insurance))
                candidate = await self._serve(stream, delivery)
                primary = await in_background
            else:
                candidate = await self._streams[Side.CANDIDATE].end(stream)
                claimed = await self._claim(insurance, request, delivery)
                primary = await self._serve(claimed, delivery)
        await self._recorder.record(request, snapshot, units, delivery, primary, candidate)

    async def _begin_primary(self, request: Request, delivery: Delivery) -> SideStream:
        stream = self._streams[Side.PRIMARY].open(request.primary)
        await self._begun(stream, stream.begin(self._limits.primary_timeout), delivery)
        return stream

    async def _begun(
        self, stream: SideStream, beginning: Awaitable[bool], delivery: Delivery
    ) -> None:
        """Wait for the primary's first item, for which the caller waits: see `_for_caller`."""
        if await delivery.awaited(beginning, lambda: stream.is_async) is None:
            stream.give_up(CallerLeftError(REQUEST_CANCELLED))

    async def _begin_candidate(self, request: Request) -> SideStream:
        stream = self._streams[Side.CANDIDATE].open(request.candidate)
        limits = self._limits
        await stream.begin(limits.candidate_timeout, item_limit=limits.candidate_item_timeout)
        return stream

    async def _serve(self, stream: SideStream, delivery: Delivery) -> Scored:
        """Deliver a stream that has begun, or its error; wait until it has ended."""
        scorer = self._streams[stream.side]
        delivery.deliver(stream.side, scorer.at_first_item(stream))
        if delivery.served is None:  # the caller went away, or there is nothing to serve
            stream.leave()
        await asyncio.wait({stream.ended})
        return await scorer.end(stream)

    async def _score_shadow_stream(self, request: Request, assignment: Assignment) -> Scored:
        scorer, limits = self._streams[Side.CANDIDATE], self._limits
        if (status := self._not_scored_status(assignment)) is not None:
            return scorer.not_scored(status)
        self._shadows += 1
        try:
            deadline = asyncio.get_running_loop().time() + limits.shadow_timeout
            stream = scorer.open(request.candidate)
            await stream.begin(limits.of(Side.CANDIDATE, shadow=True))
            await stream.consume(deadline - asyncio.get_running_loop().time())
            scored = await scorer.end(stream)
            if self._budget is not None:
                self._budget.spend(scored.observation.duration or 0.0)
            return scored
        finally:
            self._shadows -= 1

    def _begin_insurance(self, request: Request, assignment: Assignment) -> "_Insurance | Status":
        """Begin the primary's stream, or return why it is not scored as a shadow."""
        if (status := self._not_scored_status(assignment)) is not None:
            return status
        self._shadows += 1
        stream = self._streams[Side.PRIMARY].open(request.primary)
        return _Insurance(stream, self._limits.primary_timeout)

    async def _consume(self, insurance: "_Insurance | Status") -> Scored:
        """Consume the primary's stream as a shadow: the candidate's stream is being sent."""
        scorer = self._streams[Side.PRIMARY]
        if isinstance(insurance, Status):
            return scorer.not_scored(insurance)
        try:
            await insurance.consume(self._limits.shadow_timeout)
            return await scorer.end(insurance.stream)
        finally:
            self._shadows -= 1

    async def _claim(
        self, insurance: "_Insurance | Status", request: Request, delivery: Delivery
    ) -> SideStream:
        """Return the primary's stream for the caller; begin it if it was not insured."""
        if isinstance(insurance, Status):
            return await self._begin_primary(request, delivery)
        self._shadows -= 1
        await self._begun(insurance.stream, insurance.beginning, delivery)
        return insurance.stream

    def _not_scored_status(self, assignment: Assignment) -> Status | None:
        """Return why a shadow is not scored now; None if it is."""
        if not assignment.shadow:
            return Status.SKIPPED
        return Status.SHED if self._shadows >= self._limits.shadow_concurrency else None


class _Insurance:
    """The primary's stream, held at its first item until the candidate's has begun or failed."""

    def __init__(self, stream: SideStream, limit: float | None) -> None:
        self.stream = stream
        self.beginning = asyncio.create_task(stream.begin(limit))

    async def consume(self, within: float) -> None:
        """Consume the stream to its end within `within` seconds, without a caller."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        await asyncio.wait({self.beginning}, timeout=within)
        if self.beginning.done():
            await self.stream.consume(deadline - loop.time())
        else:
            self.stream.expire(within)
