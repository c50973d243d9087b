"""The pairing of two streams: the active side's is passed on, the pair is recorded."""

import asyncio

from flags.pairing.assignment import Assign, Assignment, Side
from flags.pairing.delivery import Answer, Delivery
from flags.pairing.limits import Limits
from flags.pairing.observation import PairSink, Status
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request, Seen
from flags.pairing.scorer import Scored
from flags.pairing.shadow_budget import ShadowBudget
from flags.pairing.streams.scorer import StreamScorer
from flags.pairing.streams.side_stream import SideStream
from flags.pairing.unit import Units


class StreamPairing(Pairing):
    """Pair an API whose answers are streams; the value of an Answer is the SideStream to take.

    The active side is chosen by its first item: until then the primary's stream can still be
    served in place of the candidate's, after it no more. The shadow is taken to its end in the
    background, for its observation alone.
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
        """Return the stream that answers `request`, once its first item is there.

        Whoever gets it takes its items, or leaves it. Raises what the primary raised before its
        first item, or TimeoutError; a failure of the candidate before its own is never raised.
        """
        waiting = self._begun(request)
        try:
            return await waiting
        except asyncio.CancelledError:
            if not waiting.cancelled() and waiting.exception() is None:
                waiting.result().value.leave()  # it was delivered in the very same moment
            raise

    async def _pair(self, request: Request, waiting: "asyncio.Future[Answer]") -> None:
        seen = Seen.of(request, self._reading, self._units)  # before a model can change its input
        assignment = self._assigned(request)
        delivery = Delivery(assignment, waiting)
        units = self._units_of(request, seen, assignment)
        if assignment.active is Side.PRIMARY:
            primary = await self._serve(await self._primary(request), delivery)
            candidate = await self._within_budget(
                Side.CANDIDATE,
                assignment,
                units.unit or request.request_id,
                lambda: self._shadow_to_its_end(request, assignment),
            )
        else:
            insurance = self._insurance(request, assignment)
            stream = await self._candidate(request)
            if stream.status is Status.OK:
                in_background = asyncio.create_task(self._consume(insurance))
                candidate = await self._serve(stream, delivery)
                primary = await in_background
            else:
                candidate = await self._streams[Side.CANDIDATE].ended(stream)
                primary = await self._serve(await self._claim(insurance, request), delivery)
        await self._recorder.record(request, seen, units, delivery, primary, candidate)

    async def _primary(self, request: Request) -> SideStream:
        stream = self._streams[Side.PRIMARY].opened(request.primary)
        await stream.begin(self._limits.primary_timeout)
        return stream

    async def _candidate(self, request: Request) -> SideStream:
        stream = self._streams[Side.CANDIDATE].opened(request.candidate)
        limits = self._limits
        await stream.begin(limits.candidate_timeout, gap=limits.candidate_item_timeout)
        return stream

    async def _serve(self, stream: SideStream, delivery: Delivery) -> Scored:
        """Hand a stream that has begun, or failed, to the caller; wait until it has ended."""
        scorer = self._streams[stream.side]
        delivery.deliver(stream.side, scorer.begun(stream))
        if delivery.served is None:  # the caller went away, or there is nothing to serve
            stream.leave()
        await asyncio.wait({stream.ended})
        return await scorer.ended(stream)

    async def _shadow_to_its_end(self, request: Request, assignment: Assignment) -> Scored:
        scorer, limits = self._streams[Side.CANDIDATE], self._limits
        if (status := self._no_shadow(assignment)) is not None:
            return scorer.not_scored(status)
        self._shadows += 1
        try:
            deadline = asyncio.get_running_loop().time() + limits.shadow_timeout
            stream = scorer.opened(request.candidate)
            await stream.begin(limits.of(Side.CANDIDATE, shadow=True))
            await stream.consume(deadline - asyncio.get_running_loop().time())
            scored = await scorer.ended(stream)
            if self._budget is not None:
                self._budget.spend(scored.observation.duration or 0.0)
            return scored
        finally:
            self._shadows -= 1

    def _insurance(self, request: Request, assignment: Assignment) -> "_Insurance | Status":
        """Begin the primary's stream, which the caller may come to depend on."""
        if (status := self._no_shadow(assignment)) is not None:
            return status
        self._shadows += 1
        stream = self._streams[Side.PRIMARY].opened(request.primary)
        return _Insurance(stream, self._limits.primary_timeout)

    async def _consume(self, insurance: "_Insurance | Status") -> Scored:
        """Take the primary's stream as any shadow's, now that the candidate's is on its way."""
        scorer = self._streams[Side.PRIMARY]
        if isinstance(insurance, Status):
            return scorer.not_scored(insurance)
        try:
            await insurance.consume(self._limits.shadow_timeout)
            return await scorer.ended(insurance.stream)
        finally:
            self._shadows -= 1

    async def _claim(self, insurance: "_Insurance | Status", request: Request) -> SideStream:
        """Return the primary's stream for the caller; it is begun now if it was not a shadow."""
        if isinstance(insurance, Status):
            return await self._primary(request)
        self._shadows -= 1
        await insurance.beginning
        return insurance.stream

    def _no_shadow(self, assignment: Assignment) -> Status | None:
        if not assignment.shadow:
            return Status.SKIPPED
        return Status.SHED if self._shadows >= self._limits.shadow_concurrency else None


class _Insurance:
    """The primary's stream, held at its first item until the candidate has its own, or fails."""

    def __init__(self, stream: SideStream, limit: float | None) -> None:
        self.stream = stream
        self.beginning = asyncio.create_task(stream.begin(limit))

    async def consume(self, within: float) -> None:
        """Take the stream to its end within `within` seconds, for nobody."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        await asyncio.wait({self.beginning}, timeout=within)
        if self.beginning.done():
            await self.stream.consume(deadline - loop.time())
        else:
            self.stream.expire(within)
