"""`migrate`: one BentoML service made of two, with the same routes, schemas and docs."""

import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import bentoml
from bentoml import Service

from flags.errors import MigrationError
from flags.monitoring.worker_state import WorkerRegistry
from flags.pairing.assignment import Side
from flags.pairing.reading import FieldSpec, Reading, ScoreSpec, ThresholdSpec
from flags.pairing.tuning import Decide
from flags.serving.api_contract import shared_apis
from flags.serving.bentoml_private import APIMethod
from flags.serving.http.endpoints import endpoints
from flags.serving.http.live import LiveSource
from flags.serving.http.middleware import RequestMiddleware
from flags.serving.isolated.side import IsolatedSide
from flags.serving.legacy_runner import mend_runners
from flags.serving.plan import Plan, ProviderFactory, common_reading, planned_apis
from flags.serving.settings import Settings
from flags.serving.sides.placement import EmbeddedSide, PlacedSide, Placement, placement_of
from flags.serving.sides.runner import RunnerSide
from flags.serving.worker import MigrationWorker

_CONTEXT: Final = "bentoml_context"
"""Keyword under which BentoML hands its context to a generated endpoint."""

_FOR_EVER: Final = 2**31
"""Seconds, or requests."""

_OF_THE_MODEL: Final = frozenset({"resources", "threads", "workers"})
"""Configuration that stays with the model's own worker processes under `runners`."""


def migrate(
    primary: Service[Any],
    candidate: Service[Any],
    *,
    flag: str,
    score: ScoreSpec | None = None,
    threshold: ThresholdSpec = None,
    segments: FieldSpec = None,
    features: FieldSpec = None,
    apis: Mapping[str, Reading | None] | None = None,
    placement: str | None = None,
    name: str | None = None,
    max_request_bytes: int | None = None,
    decide: Decide | None = None,
    provider: ProviderFactory | None = None,
    settings: Settings | None = None,
    **config: Any,
) -> Service[Any]:
    """Return a service with the primary's API, in which `flag` decides which side answers.

    `score` and `threshold` say how to read the compared numbers out of an answer: an attribute
    path, a callable on the answer, or a mapping of output names to these; `threshold` may also be
    a number. `segments` and `features` name what of the input is recorded; nothing by default.
    `apis` overrides the reading of single APIs by name (None: no compared numbers). `placement`
    is `isolated`, `runners` or `embedded`: not given, `runners` where one of the services is
    batched or asks for a GPU, else `isolated`. `max_request_bytes` refuses larger bodies with HTTP
    413.
    `decide(answer, thresholds)` returns the candidate's answer decided at other thresholds, those
    that the flag's payload carries. `provider` makes another OpenFeature provider than the
    settings name. `config` is the configuration of the new service, as for `bentoml.service`; the
    rest comes from the primary.

    Raises ApiMismatchError naming route and difference where the candidate lacks an API of the
    primary or has another schema, ReadingError where `score` and the like cannot be understood,
    and MigrationError for any other argument that is wrong.
    """
    _check(primary, candidate, flag)
    mend_runners(primary)
    mend_runners(candidate)
    shared = shared_apis(primary, candidate)
    service_name = name or f"{primary.name}Migration"
    settings = settings or Settings()
    plan = Plan(
        flag=flag,
        primary=primary,
        candidate=candidate,
        apis=planned_apis(shared, common_reading(score, threshold, segments, features), apis or {}),
        placement=placement_of(placement, primary, candidate),
        settings=settings,
        registry=WorkerRegistry(settings.pairs_dir, service_name),
        provider=provider,
        decide=decide,
    )
    service: Service[Any] = bentoml.service(
        name=service_name,
        image=primary.image,
        description=primary.description,
        path_prefix=primary.path_prefix,
        envs=[],
        labels={**candidate.labels, **primary.labels},
        **{**_inherited(primary, plan.placement), **config},
    )(_migrated_class(plan))
    _carry_over(service, plan)
    service.add_asgi_middleware(
        RequestMiddleware,
        routes=[(service.path_prefix or "") + each.primary.route for each in shared.values()],
        settings=plan.settings,
        max_request_bytes=max_request_bytes,
    )
    # BentoML finds a service again by the module that made it, which is the caller's, not this one.
    service._caller_module = sys._getframe(1).f_globals["__name__"]
    return service


def _check(primary: Any, candidate: Any, flag: Any) -> None:
    for word, service in (("primary", primary), ("candidate", candidate)):
        if not isinstance(service, Service):
            raise MigrationError(
                f"the {word} is {service!r}: it must be a BentoML service, a class decorated with "
                "@bentoml.service"
            )
    if primary.name == candidate.name:
        raise MigrationError(
            f"both services are named {primary.name}: give one another name, "
            'as in @bentoml.service(name="...")'
        )
    if not isinstance(flag, str) or not flag.strip():
        raise MigrationError(f"flag is {flag!r}: it must be the key of the feature flag")


def _inherited(primary: Service[Any], placement: Placement) -> dict[str, Any]:
    config: dict[str, Any] = dict(primary.config)
    if placement is Placement.RUNNERS:
        return {key: value for key, value in config.items() if key not in _OF_THE_MODEL}
    return config


def _migrated_class(plan: Plan) -> type[Any]:
    body: dict[str, Any] = {
        "__doc__": plan.primary.inner.__doc__,
        "__init__": lambda self: _init(self, plan),
        "bentoml_flags_startup": bentoml.on_startup(_startup),
        "bentoml_flags_shutdown": bentoml.on_shutdown(_shutdown),
        "__is_ready__": _is_ready,
    }
    if plan.placement is Placement.RUNNERS:
        _keep_connections(plan)
        body["bentoml_flags_primary"] = bentoml.depends(plan.primary)
        body["bentoml_flags_candidate"] = bentoml.depends(plan.candidate)
    else:
        body.update(_dependencies(plan))
    for name, planned in plan.apis.items():
        body[name] = _endpoint(name, planned.shared.primary)
    return type(plan.primary.inner.__name__, (), body)


def _keep_connections(plan: Plan) -> None:
    """Have BentoML's client keep its session to each model's process.

    By default it closes the session after 100 requests, and with it the requests that other tasks
    have in flight (https://github.com/bentoml/BentoML/issues/5540): measured here as 7 % failures
    at 16 concurrent requests.
    """
    for side in Side:
        plan.service(side).config.setdefault(
            "runner_connection", {"max_age": float(_FOR_EVER), "max_requests": _FOR_EVER}
        )


def _init(self: Any, plan: Plan) -> None:
    sides = {side: _placed(self, plan, side) for side in Side}
    if plan.placement is Placement.RUNNERS:
        # BentoML's /readyz waits for every dependency that it finds as an attribute. The candidate
        # must not count: while its process is dead, the primary still answers.
        self.bentoml_flags_candidate = None
    self.bentoml_flags_worker = MigrationWorker(plan, sides)


def _placed(self: Any, plan: Plan, side: Side) -> PlacedSide:
    service, settings = plan.service(side), plan.settings
    if plan.placement is Placement.RUNNERS:
        return RunnerSide(service, getattr(self, f"bentoml_flags_{side}"))
    if plan.placement is Placement.EMBEDDED or side is Side.PRIMARY:
        return EmbeddedSide(side, service)
    return IsolatedSide(
        service,
        start_within=settings.candidate_start_timeout,
        max_memory=settings.candidate_max_memory,
        gc_freeze=settings.gc_freeze,
    )


async def _startup(self: Any) -> None:
    await self.bentoml_flags_worker.start(self.bento_service)


async def _shutdown(self: Any) -> None:
    await self.bentoml_flags_worker.stop()


async def _is_ready(self: Any) -> bool:
    ready: bool = await self.bentoml_flags_worker.is_ready()
    return ready


def _endpoint(name: str, original: APIMethod[..., Any]) -> APIMethod[..., Any]:
    async def answer(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = kwargs.pop(_CONTEXT)
        return await self.bentoml_flags_worker.answer(name, args, kwargs, context)

    async def stream(self: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        context = kwargs.pop(_CONTEXT)
        async with aclosing(self.bentoml_flags_worker.stream(name, args, kwargs, context)) as items:
            async for item in items:
                yield item

    endpoint: Callable[..., Any] = stream if original.is_stream else answer
    endpoint.__name__ = name
    endpoint.__doc__ = original.doc
    method: APIMethod[..., Any] = APIMethod(
        func=endpoint,
        route=original.route,
        input_spec=original.input_spec,
        output_spec=original.output_spec,
        is_task=original.is_task,
    )
    method.ctx_param = _CONTEXT
    return method


def _dependencies(plan: Plan) -> dict[str, Any]:
    """Return the services that both sides depend on: the new service starts them."""
    return {
        f"bentoml_flags_{side}_{name}": bentoml.depends(dependency.on)
        for side in Side
        for name, dependency in plan.service(side).dependencies.items()
        if dependency.on is not None
    }


def _carry_over(service: Service[Any], plan: Plan) -> None:
    """Give the new service what the primary has besides APIs, and what an embedded side needs."""
    service.mount_apps.extend(plan.primary.mount_apps)
    service.middlewares.extend(plan.primary.middlewares)
    if plan.placement is not Placement.RUNNERS:
        service.models.extend([*plan.primary.models, *plan.candidate.models])
        service.envs.extend([*plan.primary.envs, *plan.candidate.envs])
    if plan.settings.migration_endpoints:  # after the primary's: where both answer, it goes first
        source = LiveSource(plan.registry, service.name, plan.flag, plan.settings)
        service.mount_asgi_app(endpoints(source), "/")
