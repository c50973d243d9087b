"""One serving worker process: start, answers, stop."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml import Service
from starlette.responses import Response

from flags.export.outcomes import use_tracking
from flags.export.pair_files import PairFiles, file_name
from flags.export.shipping import begin_shipping
from flags.export.spans import PairSpans
from flags.export.worker_count import CountFile
from flags.monitoring.heartbeat import Heartbeat
from flags.monitoring.metrics import CountedPairs, WorkerMetrics
from flags.monitoring.recent_counts import RecentPairs, recent_path
from flags.monitoring.rollouts_taken import RolloutsTaken
from flags.monitoring.self_report import SelfReport, ShippingReport
from flags.pairing.assignment import Side
from flags.pairing.batched_pairs import BatchedPairs
from flags.pairing.call import Call
from flags.pairing.pairing import Pairing
from flags.pairing.streams.side_stream import SideStream
from flags.pairing.tuning import Tuning
from flags.serving.bentoml_private import PickleSerde, server_context
from flags.serving.gc_freeze import freeze_loaded
from flags.serving.http.middleware import ANSWER, afterwards
from flags.serving.pairing_factory import PairingFactory
from flags.serving.plan import Plan
from flags.serving.remote.side import RemoteSide
from flags.serving.shadow_gathering import answer_started, shadow_schedule
from flags.serving.side_calls import Contexts, SideCalls
from flags.serving.sides.context import with_context
from flags.serving.sides.placement import PlacedPrimary, PlacedSide
from flags.serving.sides.runner_client import response_of
from flags.serving.start_report import report_start
from flags.serving.worker_flags import WorkerFlags

if TYPE_CHECKING:
    from flags.export.shipper import Shipper


class MigrationWorker:
    """One worker process of a migrated service."""

    def __init__(self, plan: Plan, primary: PlacedPrimary, candidate: PlacedSide) -> None:
        self._plan = plan
        self.primary_side: Any = primary
        self._sides: Mapping[Side, PlacedSide] = {Side.PRIMARY: primary, Side.CANDIDATE: candidate}
        self.is_started = False
        """False if the service was instantiated without being served, as in a unit test."""
        self._flags = WorkerFlags(plan)
        self._schedule = shadow_schedule(plan)
        self._calls = {
            name: SideCalls(
                name,
                planned.shared,
                plan.placement,
                plan.services,
                answer_started(plan, name, self._schedule),
                shadow_tasks=plan.shadow_tasks,
            )
            for name, planned in plan.apis.items()
        }
        self._pairings: dict[str, Pairing] = {}
        self._gathered: BatchedPairs | None = None
        self._spans: PairSpans | None = None
        self._shipper: Shipper | None = None
        self._heartbeat: Heartbeat | None = None

    async def start(self, service: Service[Any]) -> None:
        """Start both sides, load the flags, and begin recording pairs."""
        plan, worker = self._plan, str(uuid.uuid4())
        metrics = WorkerMetrics(plan.flag)
        files = self._files(file_name(service.name, worker), metrics)
        version = service.bento.tag.version if service.bento else None
        self._spans = PairSpans(files, service=service.name, version=version, worker=worker)
        await asyncio.gather(*(side.start() for side in self._sides.values()))
        await self._flags.load(self._spans)
        recent = None
        if plan.settings.migration_endpoints:
            recent = RecentPairs(recent_path(plan.settings.pairs_dir, worker))
        pairs = CountedPairs(self._spans, metrics, recent)
        tunings = {
            name: Tuning(planned.reading.outputs, plan.decide)
            for name, planned in plan.apis.items()
        }
        self._gathered = BatchedPairs(pairs)
        factory = PairingFactory(plan, self._sides, self._schedule)
        self._pairings = factory.build(self._gathered, tunings)
        candidate = self._sides[Side.CANDIDATE]
        report = SelfReport(
            worker=worker,
            service=service.name,
            flag=self._flags.reader(tunings),
            pairs=pairs,
            files=files,
            candidate=candidate.report if isinstance(candidate, RemoteSide) else None,
        )
        count = CountFile(plan.settings.pairs_dir, worker, service.name)
        self._heartbeat = self._new_heartbeat(report, count, metrics, recent)
        await self._heartbeat.start()
        if server_context.worker_index in (None, 1):  # the other workers would log the same
            await asyncio.to_thread(report_start, plan, service.name, self._flags.reader(tunings)())
        if plan.settings.gc_freeze:
            freeze_loaded()
        self.is_started = True

    def _files(self, name: str, metrics: WorkerMetrics) -> PairFiles:
        """Return the files of this worker's pairs; start to ship them if a collector is set."""
        settings = self._plan.settings
        folder, limits = settings.pairs_dir, settings.shipping_limits
        self._shipper = begin_shipping(folder, name, limits, os.environ)
        return PairFiles(
            folder,
            name,
            settings.file_limits,
            dropped=metrics.drop,
            is_shipped=self._shipper is not None,
        )

    def _new_heartbeat(
        self,
        report: SelfReport,
        count: CountFile,
        metrics: WorkerMetrics,
        recent: RecentPairs | None,
    ) -> Heartbeat:
        """Return the heartbeat that publishes this worker's state."""
        folder, flag = self._plan.settings.pairs_dir, self._plan.flag
        return Heartbeat(
            report,
            metrics=metrics,
            registry=self._plan.registry,
            client=self._flags.client,
            recent=recent,
            shipping=None if self._shipper is None else ShippingReport(self._shipper),
            count=count,
            taken=None if recent is None else RolloutsTaken(folder, flag),
        )

    @property
    def primary(self) -> Any:
        """Return the primary's instance, or the proxy in its place."""
        return self.primary_side.instance

    async def stop(self) -> None:
        """Finish the pairs in progress, write the closing record, disconnect from the flags."""
        within = self._plan.settings.drain_timeout
        if self._schedule is not None:
            self._schedule.end()
        await asyncio.gather(*(pairing.drain(within) for pairing in self._pairings.values()))
        for pairing in self._pairings.values():
            pairing.close()
        if self._gathered is not None:
            self._gathered.flush()
        if self._spans is not None:
            use_tracking(None)
            await asyncio.to_thread(self._close_record, self._spans, within)
        if self._heartbeat is not None:
            await self._heartbeat.stop()
        for side in self._sides.values():
            await side.stop()
        await self._flags.shut_down()

    async def answer(
        self, api: str, args: tuple[Any, ...], kwargs: dict[str, Any], context: bentoml.Context
    ) -> Any:
        """Answer one request to `api`; raises the primary's error if it has to answer."""
        request, contexts = await self._calls[api].build(Call(args, kwargs), context)
        try:
            answer = await self._pairings[api].answer(request)
        except Exception as error:
            return _error_response(error, contexts, context)
        context.request.scope[ANSWER] = answer
        if (own := contexts.get(answer.served)) is None:
            return answer.value
        own.add_tasks_to(context.response)
        spec = self._plan.apis[api].shared.primary.output_spec
        return await with_context(answer.value, own, spec, context.request)

    async def stream(
        self, api: str, args: tuple[Any, ...], kwargs: dict[str, Any], context: bentoml.Context
    ) -> Any:
        """Answer one request with a stream, or with a response that the side returned instead.

        Raises the error of the served side before its first item.
        """
        request, contexts = await self._calls[api].build(Call(args, kwargs), context)
        try:
            answer = await self._pairings[api].answer(request)
        except Exception as error:
            return _error_response(error, contexts, context)
        stream: SideStream = answer.value
        scope = context.request.scope
        scope[ANSWER] = answer
        afterwards(scope, stream.leave)  # a server may drop the generator without closing it
        pickled = context.request.headers.get("content-type", "").startswith(PickleSerde.media_type)
        items = _items(stream, encoded=not pickled)
        if (own := contexts.get(answer.served)) is None:
            return items
        own.add_tasks_to(context.response, streaming=True)
        spec = self._plan.apis[api].shared.primary.output_spec
        return await with_context(items, own, spec, context.request)

    async def is_alive(self) -> bool:
        """Return the primary's own `__is_alive__`."""
        alive: bool = await self.primary_side.is_alive()
        return alive

    async def metrics(self, text: str) -> str:
        """Return the metrics as the primary's `__metrics__` writes them."""
        metrics: str = await self.primary_side.metrics(text)
        return metrics

    async def is_ready(self) -> bool:
        """Say whether the primary is ready, and flags are loaded if they are required."""
        if self._plan.settings.flags_required and not self._flags.are_loaded:
            return False
        return await self._sides[Side.PRIMARY].is_ready()

    def _close_record(self, spans: PairSpans, within: float) -> None:
        deadline = time.monotonic() + within
        spans.close(within)
        if self._shipper is not None:
            self._shipper.close(max(0.0, deadline - time.monotonic()))


def _error_response(error: Exception, contexts: Contexts, context: bentoml.Context) -> Response:
    """Return the response of a runner that carried `error`; raise the error if there is none.

    Background tasks that the primary added before it failed still run.
    """
    if (own := contexts.get(Side.PRIMARY)) is not None:
        own.add_tasks_to(context.response)
    if (response := response_of(error)) is None:
        raise error
    return response


async def _items(stream: SideStream, *, encoded: bool) -> AsyncGenerator[Any, None]:
    async with aclosing(stream.items(encoded=encoded)) as items:
        async for item in items:
            yield item
