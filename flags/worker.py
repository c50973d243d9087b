"""Hold what one serving worker needs: the flags, the pairings, the record of pairs."""

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bentoml
import pydantic
from _bentoml_impl.serde import JSONSerde
from bentoml import Service
from openfeature import api as openfeature
from openfeature.provider import FeatureProvider, ProviderStatus

from flags.api_contract import SharedApi
from flags.assignment import DOMAIN, FlagAssignment, Side
from flags.edge import ANSWER, IDENTITY
from flags.export.pair_files import PairFiles, file_name
from flags.export.shipping import begin_shipping
from flags.heartbeat import Heartbeat
from flags.isolation import isolated
from flags.metrics import CountedPairs, WorkerMetrics
from flags.model_tag import model_tag
from flags.observation import PairSink
from flags.pair import Pairing, Request
from flags.placement import PlacedSide, Placement
from flags.provider import UnleashProvider
from flags.reading import Reading
from flags.request_identity import RequestIdentity
from flags.scorer import Accept, Call, Scorer
from flags.self_report import FlagLook, SelfReport
from flags.settings import Settings
from flags.side_context import SideContext
from flags.spans import PairSpans
from flags.threads import SideThreads
from flags.tuning import Decide, Tuning
from flags.worker_state import Roster

if TYPE_CHECKING:
    from flags.export.shipper import Shipper

logger = logging.getLogger(__name__)

ProviderFactory = Callable[[Settings], FeatureProvider]


@dataclass(frozen=True, slots=True)
class PlannedApi:
    """One API of the migrated service, and what is read out of its answers."""

    shared: SharedApi
    reading: Reading


@dataclass(frozen=True, slots=True)
class Plan:
    """What `migrate` decided at import, for the workers to carry out."""

    flag: str
    primary: Service[Any]
    candidate: Service[Any]
    apis: Mapping[str, PlannedApi]
    placement: Placement
    settings: Settings
    roster: Roster
    provider: ProviderFactory | None = None
    decide: Decide | None = None

    def service(self, side: Side) -> Service[Any]:
        """Return the service of `side`."""
        return self.primary if side is Side.PRIMARY else self.candidate


def unleash_provider(settings: Settings) -> FeatureProvider:
    """Return the provider that the settings name: Unleash, by server or by file."""
    return UnleashProvider(
        settings.flag_source,
        sent=settings.sent_fields,
        max_staleness=settings.flags_max_staleness,
    )


class MigrationWorker:
    """One worker process of a migrated service."""

    def __init__(self, plan: Plan, sides: Mapping[Side, PlacedSide]) -> None:
        self._plan = plan
        self._sides = sides
        self._pairings: dict[str, Pairing] = {}
        self._spans: PairSpans | None = None
        self._shipper: Shipper | None = None
        self._provider: FeatureProvider | None = None
        self._client = openfeature.get_client(DOMAIN)
        self._heartbeat: Heartbeat | None = None

    async def start(self, service: Service[Any]) -> None:
        """Load the flags and both sides, and begin the record of pairs."""
        plan, worker = self._plan, str(uuid.uuid4())
        metrics, folder = WorkerMetrics(plan.flag), plan.settings.pairs_dir
        name = file_name(service.name, worker)
        files = PairFiles(folder, name, plan.settings.file_limits, dropped=metrics.drop)
        self._shipper = begin_shipping(folder, name, plan.settings.shipping_limits, os.environ)
        version = service.bento.tag.version if service.bento else None
        self._spans = PairSpans(files, service=service.name, version=version, worker=worker)
        await asyncio.gather(*(side.start() for side in self._sides.values()))
        self._provider = (plan.provider or unleash_provider)(plan.settings)
        await asyncio.to_thread(self._load_flags, self._provider)
        pairs = CountedPairs(self._spans, metrics)
        tunings = {
            name: Tuning(planned.reading.outputs, plan.decide)
            for name, planned in plan.apis.items()
        }
        self._pairings = self._make_pairings(pairs, tunings)
        self._heartbeat = Heartbeat(
            SelfReport(
                worker=worker,
                service=service.name,
                flag=self._flag_look(tunings),
                pairs=pairs,
                files=files,
            ),
            metrics=metrics,
            roster=plan.roster,
            client=self._client,
        )
        await self._heartbeat.start()

    async def stop(self) -> None:
        """Finish the pairs in progress, write the closing record, leave the flag source."""
        within = self._plan.settings.drain_timeout
        await asyncio.gather(*(pairing.drain(within) for pairing in self._pairings.values()))
        for pairing in self._pairings.values():
            pairing.close()
        if self._spans is not None:
            await asyncio.to_thread(self._close_record, self._spans, within)
        if self._heartbeat is not None:
            await self._heartbeat.stop()
        for side in self._sides.values():
            await side.stop()
        if self._provider is not None:
            await asyncio.to_thread(self._provider.shutdown)

    async def answer(
        self, api: str, args: tuple[Any, ...], kwargs: dict[str, Any], context: bentoml.Context
    ) -> Any:
        """Answer one request to `api`; raises what the primary raised."""
        scope = context.request.scope
        identity: RequestIdentity = scope.get(IDENTITY) or RequestIdentity(str(uuid.uuid4()), {})
        contexts = {side: SideContext(context.request, context.state) for side in Side}
        answer = await self._pairings[api].answer(
            self._request(api, identity, args, kwargs, contexts)
        )
        scope[ANSWER] = answer
        contexts[answer.served].apply_to(context.response)
        return answer.value

    async def is_ready(self) -> bool:
        """Say whether the primary can answer, and flags are loaded if they are required."""
        if self._plan.settings.flags_required and not self._has_flags():
            return False
        return await self._sides[Side.PRIMARY].is_ready()

    def _close_record(self, spans: PairSpans, within: float) -> None:
        deadline = time.monotonic() + within
        spans.close(within)
        if self._shipper is not None:
            self._shipper.close(max(0.0, deadline - time.monotonic()))

    def _has_flags(self) -> bool:
        provider = self._provider
        if isinstance(provider, UnleashProvider):
            return provider.has_flags
        return self._client.get_provider_status() in (ProviderStatus.READY, ProviderStatus.STALE)

    def _load_flags(self, provider: FeatureProvider) -> None:
        try:
            openfeature.set_provider_and_wait(provider, domain=DOMAIN)
        except Exception as error:  # no flags yet: the primary answers until they arrive
            if not isinstance(provider, UnleashProvider):  # ours has said so itself
                logger.warning("no flags at the start: %s", error)
            return
        if isinstance(provider, UnleashProvider):
            for warning in provider.warnings(self._plan.flag):
                logger.warning("flag %s: %s", self._plan.flag, warning)

    def _flag_look(self, tunings: Mapping[str, Tuning]) -> FlagLook:
        plan = self._plan
        return FlagLook(
            plan.flag,
            self._client,
            # an API without a compared number has no threshold to tune
            [tunings[name] for name, planned in plan.apis.items() if planned.reading.outputs],
            None if plan.provider else plan.settings.flag_source,
        )

    def _make_pairings(self, sink: PairSink, tunings: Mapping[str, Tuning]) -> dict[str, Pairing]:
        plan = self._plan
        assign = FlagAssignment(plan.flag)
        tags = {side: model_tag(plan.service(side)) for side in Side}
        threads = {
            side: SideThreads(f"{side}-model", plan.service(side).config.get("threads", 1))
            for side in Side
        }

        def scorer(side: Side, planned: PlannedApi) -> Scorer:
            shared = planned.shared
            return Scorer(
                side,
                self._sides[side].model(
                    shared.primary if side is Side.PRIMARY else shared.candidate
                ),
                planned.reading,
                tag=tags[side],
                threads=threads[side],
                accept=_servable(shared) if side is Side.CANDIDATE else None,
                decide=plan.decide,
                unreadable_is_error=side is Side.CANDIDATE,
            )

        return {
            name: Pairing(
                scorer(Side.PRIMARY, planned),
                scorer(Side.CANDIDATE, planned),
                assign=assign,
                reading=planned.reading,
                sink=sink,
                limits=plan.settings.limits,
                tuning=tunings[name],
            )
            for name, planned in plan.apis.items()
        }

    def _request(
        self,
        api: str,
        identity: RequestIdentity,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        contexts: Mapping[Side, SideContext],
    ) -> Request:
        shared = self._plan.apis[api].shared
        given = Call(args, kwargs)
        own = self._for_candidate(given, shared)
        return Request(
            identity.request_id,
            primary=_with_context(given, shared.primary.ctx_param, contexts[Side.PRIMARY]),
            candidate=own
            if isinstance(own, Exception)
            else _with_context(own, shared.candidate.ctx_param, contexts[Side.CANDIDATE]),
            api=api,
            attributes=identity.attributes,
            inputs=args[0] if args else kwargs,
        )

    def _for_candidate(self, given: Call, shared: SharedApi) -> Call | Exception:
        if not shared.same_input_types:
            return _converted(given, shared)
        if self._plan.placement is not Placement.EMBEDDED:
            return given  # it is serialised: each process has its own
        return isolated(given)


def _with_context(call: Call, parameter: str | None, context: SideContext) -> Call:
    if parameter is None:
        return call
    return Call(call.args, {**call.kwargs, parameter: context})


def _converted(given: Call, shared: SharedApi) -> Call | Exception:
    """Return the input as the candidate's own types, built anew from the primary's."""
    ours, theirs = shared.primary.input_spec, shared.candidate.input_spec
    try:
        if given.args and isinstance(given.args[0], pydantic.BaseModel):
            dumped = given.args[0].model_dump()  # `from_inputs` takes no model for a whole body
        else:
            dumped = ours.from_inputs(*given.args, **given.kwargs).model_dump()
        if getattr(theirs, "__root_input__", False):
            model: Any = theirs.model_validate(dumped)
            return Call((getattr(model, "root", model),))
        model = theirs.model_validate(dumped)
        return Call((), {name: getattr(model, name) for name in theirs.model_fields})
    except Exception as error:
        return error


def _servable(shared: SharedApi) -> Accept:
    """Return a check that a candidate's answer can become an HTTP response of the primary's API."""
    spec, serde = shared.primary.output_spec, JSONSerde()

    async def accept(answer: Any) -> None:
        await spec.to_http_response(answer, serde)

    return accept
