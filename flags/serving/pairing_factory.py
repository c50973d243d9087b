"""The construction of the pairings of a migrated service, one for each API."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from flags.pairing.assignment import Assign, FlagAssignment, Side
from flags.pairing.observation import PairSink
from flags.pairing.pairing import Pairing
from flags.pairing.scorer import Accept, Scorer, Tag
from flags.pairing.shadow_batch import ShadowBatch
from flags.pairing.shadow_budget import ShadowBudget
from flags.pairing.shadow_schedule import ShadowSchedule
from flags.pairing.side_threads import SideThreads
from flags.pairing.streams.pairing import StreamPairing
from flags.pairing.streams.scorer import StreamScorer
from flags.pairing.streams.side_stream import Encode
from flags.pairing.tuning import Tuning
from flags.serving.api_contract import SharedApi
from flags.serving.bentoml_private import IODescriptor, IORootModel, JSONSerde
from flags.serving.model_tag import model_tag
from flags.serving.plan import Plan, PlannedApi
from flags.serving.remote.side import RemoteSide
from flags.serving.sides.binary_answers import is_binary, measure, rendering
from flags.serving.sides.placement import PlacedSide
from flags.serving.sides.worker_threads import as_worker_thread


class PairingFactory:
    """Build one pairing for each API of a plan; APIs share the threads of each side."""

    def __init__(
        self, plan: Plan, sides: Mapping[Side, PlacedSide], schedule: ShadowSchedule | None = None
    ) -> None:
        """Pair `sides`; shadows in this process wait for pending answers by `schedule`."""
        self._plan = plan
        self._sides = sides
        self._tags: dict[Side, Tag] = {
            side: model_tag(service) for side, service in plan.services.items()
        }
        candidate = sides[Side.CANDIDATE]
        if isinstance(candidate, RemoteSide):
            self._tags[Side.CANDIDATE] = lambda: candidate.tag
        self._is_lazy = plan.settings.insurance == "lazy"
        share = plan.settings.shadow_max_share
        self._budget = None if share is None else ShadowBudget(share)
        shadows = Side if self._is_lazy else (Side.CANDIDATE,)
        self._threads = {
            side: SideThreads(
                f"{side}-model",
                plan.services[side].config.get("threads", 1) if side in plan.services else 1,
                schedule.wait_until_idle if schedule is not None and side in shadows else None,
                as_worker_thread,
            )
            for side in Side
        }

    def build(self, sink: PairSink, tunings: Mapping[str, Tuning]) -> dict[str, Pairing]:
        """Return one pairing per API, which records in `sink`."""
        assign = FlagAssignment(self._plan.flag)
        return {
            name: self._stream_pairing(planned, assign, sink)
            if planned.shared.primary.is_stream
            else self._pairing(planned, assign, sink, tunings[name])
            for name, planned in self._plan.apis.items()
        }

    def _pairing(
        self, planned: PlannedApi, assign: Assign, sink: PairSink, tuning: Tuning
    ) -> Pairing:
        batched = planned.shared.primary.name in self._plan.batches
        candidate = self._scorer(Side.CANDIDATE, planned, brief_shadows=batched)
        return Pairing(
            self._scorer(Side.PRIMARY, planned),
            candidate,
            assign=assign,
            reading=planned.reading,
            sink=sink,
            limits=self._plan.settings.limits,
            units=self._plan.units,
            tuning=tuning,
            batch=self._batch(planned, candidate),
            budget=self._budget,
            lazy_insurance=self._is_lazy,
            measure=measure if is_binary(planned.shared.primary.output_spec) else None,
        )

    def _batch(self, planned: PlannedApi, candidate: Scorer) -> ShadowBatch | None:
        method = self._plan.batches.get(planned.shared.primary.name)
        if method is None:
            return None
        model = self._sides[Side.CANDIDATE].batch_model(method)
        settings = self._plan.settings
        batch_scorer = Scorer(
            Side.CANDIDATE,
            model,
            planned.reading,
            threads=self._threads[Side.CANDIDATE],
            spend=self._spend,
            brief_shadows=True,
        )
        max_size = settings.shadow_concurrency // 2
        if method.own is not None and method.own.batchable:
            max_size = min(max_size, method.own.max_batch_size)
        return ShadowBatch(
            candidate, batch_scorer, method, max_size=max_size, single_share=settings.shadow_single
        )

    def _stream_pairing(self, planned: PlannedApi, assign: Assign, sink: PairSink) -> StreamPairing:
        return StreamPairing(
            self._stream_scorer(Side.PRIMARY, planned),
            self._stream_scorer(Side.CANDIDATE, planned),
            assign=assign,
            reading=planned.reading,
            sink=sink,
            limits=self._plan.settings.limits,
            units=self._plan.units,
            budget=self._budget,
        )

    def _scorer(self, side: Side, planned: PlannedApi, *, brief_shadows: bool = False) -> Scorer:
        spec = planned.shared.primary.output_spec
        binary = is_binary(spec)
        needs_check = side is Side.CANDIDATE and not binary
        return Scorer(
            side,
            self._model(side, planned),
            planned.reading,
            tag=self._tags[side],
            threads=self._threads[side],
            accept=_check_servable(planned.shared) if needs_check else None,
            render=rendering(spec) if binary else None,
            decide=self._plan.decide,
            unreadable_is_error=side is Side.CANDIDATE,
            spend=self._spend,
            brief_shadows=brief_shadows,
        )

    @property
    def _spend(self) -> Callable[[float], None] | None:
        return None if self._budget is None else self._budget.spend

    def _stream_scorer(self, side: Side, planned: PlannedApi) -> StreamScorer:
        return StreamScorer(
            side,
            self._model(side, planned),
            planned.reading,
            tag=self._tags[side],
            threads=self._threads[side],
            encode=_item_encoding(planned.shared.primary.output_spec),
            unreadable_is_error=side is Side.CANDIDATE,
        )

    def _model(self, side: Side, planned: PlannedApi) -> Any:
        shared = planned.shared
        api = shared.primary if side is Side.PRIMARY else shared.candidate
        return self._sides[side].model(api, read=planned.reading.reads_answers)


def _check_servable(shared: SharedApi) -> Accept:
    """Return a check that a candidate's answer can become an HTTP response of the primary's API."""
    spec, serde = shared.primary.output_spec, JSONSerde()

    async def accept(answer: Any) -> None:
        if isinstance(answer, Response):
            return
        if inspect.isasyncgen(answer) or inspect.isgenerator(answer):
            raise TypeError("a stream came from an API that is not a generator function")
        await spec.to_http_response(answer, serde)

    return accept


def _item_encoding(spec: type[IODescriptor]) -> Encode:
    """Return BentoML's encoding of an item: text and bytes as they are, anything else as JSON."""
    serde = JSONSerde()

    def encode(item: Any) -> str | bytes:
        if isinstance(item, str | bytes):
            return item
        model = spec(item) if issubclass(spec, IORootModel) else item
        return b"".join(serde.serialize_model(model).data)

    return encode
