"""`migrate`: one BentoML service made of two, with the same routes, schemas and docs."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import bentoml
from bentoml import Service

from flags.errors import MigrationError
from flags.monitoring.worker_state import WorkerRegistry
from flags.pairing.assignment import Side
from flags.pairing.kinds.declared import ScoreSpec
from flags.pairing.reading import FieldSpec, Reading, ThresholdSpec
from flags.pairing.tuning import Decide
from flags.pairing.unit import Units, UnitSpec, default_key
from flags.serving.api_contract import own_apis, shared_apis
from flags.serving.batch_method import batch_methods
from flags.serving.bentoml_private import APIMethod, get_current_service
from flags.serving.environment import (
    check_environments,
    note_given,
    served_environment,
)
from flags.serving.hooks import carried_hooks, check_commands
from flags.serving.http.endpoints import endpoints
from flags.serving.http.live import LiveSource
from flags.serving.http.middleware import RequestMiddleware
from flags.serving.http.outgoing import send_on
from flags.serving.isolated.environment import OwnEnvironment, own_environment_of
from flags.serving.isolated.image import image_of_both
from flags.serving.legacy_runner import mend_runners
from flags.serving.migrated_service import MigratedMethod, MigratedService
from flags.serving.mounted_apps import carry_over, primary_as_current
from flags.serving.placed_sides import placed_sides
from flags.serving.plan import Plan, ProviderFactory, common_reading, planned_apis, services_of
from flags.serving.remote.address import Remote
from flags.serving.settings import Settings
from flags.serving.sides.placement import (
    Placement,
    placement_beside_remote,
    placement_of,
)
from flags.serving.sides.runner_edge import adapt_service, outer_middlewares
from flags.serving.worker import MigrationWorker

_OF_THE_MODEL: Final = frozenset({"resources", "threads", "workers"})
"""Configuration that stays with the model's own worker processes under `runners`."""


def migrate(
    primary: Service[Any],
    candidate: Service[Any] | Remote | str,
    *,
    flag: str,
    score: ScoreSpec | None = None,
    threshold: ThresholdSpec = None,
    segments: FieldSpec = None,
    features: FieldSpec = None,
    unit: UnitSpec = None,
    apis: Mapping[str, Reading | None] | None = None,
    placement: str | None = None,
    candidate_python: str | Path | None = None,
    candidate_requirements: str | Path | None = None,
    name: str | None = None,
    max_request_bytes: int | None = None,
    decide: Decide | None = None,
    shadow_tasks: bool = False,
    shadow_batch: Mapping[str, str] | None = None,
    provider: ProviderFactory | None = None,
    settings: Settings | None = None,
    **config: Any,
) -> Service[Any]:
    """Return a service with the primary's API, in which `flag` decides which side answers.

    A candidate that is a deployment of its own is named by `Remote("http://...")`, one with an
    environment of its own by its import string and `candidate_python`, the interpreter, or
    `candidate_requirements`, a file of which uv makes an environment (with that Python, if both).
    `score` and `threshold` say how to read the compared numbers out of an answer: an attribute
    path, a callable on the answer, or a mapping of output names to these; `threshold` may also be
    a number. `segments` and `features` name what of the input is recorded; nothing by default.
    `unit` says who or what a request belongs to, whose keyed hash is recorded: `header:X-Customer`,
    `input.customer_id` or a callable on the input; not given, what the flag is sticky on.
    `apis` overrides the reading of single APIs by name (None: no compared numbers). `placement`
    is `isolated`, `runners` or `embedded`: not given, `runners` where one of the services is
    batched or asks for a GPU, else `isolated`; beside a `Remote` candidate, the primary is in the
    worker (`embedded`) or in `runners`. `max_request_bytes` refuses larger bodies with HTTP
    413.
    `decide(answer, thresholds)` returns the candidate's answer decided at other thresholds, those
    that the flag's payload carries. With `shadow_tasks`, background tasks of the candidate's
    shadow calls run as well. `shadow_batch` names, by API, a method of the candidate over a list of
    its inputs, by which gathered shadows are scored in one call.
    `provider` makes another OpenFeature provider than the settings name. `config` is the
    configuration of the new service, as for `bentoml.service`; the rest comes from the primary.

    Raises ApiMismatchError naming route and difference where the candidate lacks an API of the
    primary or has another schema, ReadingError where `score`, `unit` and the like cannot be
    understood, and MigrationError for any other argument that is wrong.
    """
    candidate = own_environment_of(candidate, candidate_python, candidate_requirements)
    _check(primary, candidate, flag)
    services = services_of(primary, candidate)
    check_commands(services)
    for each in services.values():
        mend_runners(each)
    service_name = name or f"{primary.name}Migration"
    settings = settings or Settings()
    if isinstance(candidate, Remote):
        candidate = candidate.at(settings.candidate_url)
    if not isinstance(candidate, Service):
        shared = own_apis(primary)
        placed = placement_beside_remote(placement, primary, isinstance(candidate, OwnEnvironment))
    else:
        shared = shared_apis(primary, candidate)
        placed = placement_of(placement, primary, candidate)
        check_environments(primary, candidate, placed)
    note_given(services.values())
    send_on(settings)
    batches = batch_methods(
        shadow_batch or {},
        shared,
        services.get(Side.CANDIDATE),
        over_http=placed is Placement.RUNNERS,
        shadow_tasks=shadow_tasks,
    )
    plan = Plan(
        flag=flag,
        primary=primary,
        candidate=candidate,
        apis=planned_apis(shared, common_reading(score, threshold, segments, features), apis or {}),
        placement=placed,
        settings=settings,
        registry=WorkerRegistry(settings.pairs_dir, service_name),
        units=Units.of(unit, settings.unit_secret or default_key(service_name)),
        provider=provider,
        decide=decide,
        shadow_tasks=shadow_tasks,
        batches=batches if settings.shadow_single < 1 else {},
    )
    service: Service[Any] = bentoml.service(
        service_class=MigratedService,
        name=service_name,
        image=(
            image_of_both(primary.image, candidate)
            if isinstance(candidate, OwnEnvironment)
            else primary.image
        ),
        description=primary.description,
        path_prefix=primary.path_prefix,
        envs=[],  # set below: they are objects by now
        labels={**_labels(services), **primary.labels},
        **{**_inherited(primary, plan.placement), **config},
    )(_migrated_class(plan))
    service.bentoml_flags_primary_service = primary
    _carry_over(service, plan)
    service.add_asgi_middleware(
        RequestMiddleware,
        routes=[_path(service, each.primary) for each in shared.values()],
        tasks=[_path(service, each.primary) for each in shared.values() if each.primary.is_task],
        server=f"BentoML Service/{primary.name}",
        settings=plan.settings,
        max_request_bytes=max_request_bytes,
    )
    # BentoML finds a service again by the module that made it, which is the caller's, not this one.
    service._caller_module = sys._getframe(1).f_globals["__name__"]
    return service


def _path(service: Service[Any], api: APIMethod[..., Any]) -> str:
    return str((service.path_prefix or "") + api.route)


def _labels(services: Mapping[Side, Service[Any]]) -> dict[str, str]:
    return services[Side.CANDIDATE].labels if Side.CANDIDATE in services else {}


def _check(primary: Any, candidate: Any, flag: Any) -> None:
    remote = isinstance(candidate, Remote | OwnEnvironment)
    for word, service in (("primary", primary), ("candidate", candidate)):
        if not isinstance(service, Service) and not (remote and service is candidate):
            raise MigrationError(
                f"the {word} is {service!r}: it must be a BentoML service, a class decorated with "
                "@bentoml.service" + (", or a Remote" if word == "candidate" else "")
            )
    if not remote and primary.name == candidate.name:
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
        "__getattr__": _of_the_primary,
        "bentoml_flags_startup": bentoml.on_startup(_startup),
        "bentoml_flags_shutdown": bentoml.on_shutdown(_shutdown),
        **carried_hooks(plan),
    }
    if plan.placement is Placement.RUNNERS:
        for side, service in plan.services.items():
            adapt_service(service)
            body[f"bentoml_flags_{side}"] = bentoml.depends(service)
    else:
        body.update(_dependencies(plan))
    for name, planned in plan.apis.items():
        body[name] = _endpoint(name, planned.shared.primary)
    return type(plan.primary.inner.__name__, (), body)


def _init(self: Any, plan: Plan) -> None:
    self.bentoml_flags_worker = MigrationWorker(plan, *placed_sides(self, plan))


def _of_the_primary(self: Any, name: str) -> Any:
    """Return an attribute that the migrated class lacks: in a unit test, the primary's."""
    if name.startswith(("__", "bentoml_flags_")):
        raise AttributeError(name)
    return getattr(self.bentoml_flags_worker.primary, name)


async def _startup(self: Any) -> None:
    await self.bentoml_flags_worker.start(self.bento_service)
    # BentoML's /readyz waits for every dependency that it finds as an attribute. The candidate
    # must not count: while its process is dead, the primary still answers.
    self.bentoml_flags_candidate = None


async def _shutdown(self: Any) -> None:
    await self.bentoml_flags_worker.stop()


def _endpoint(name: str, original: APIMethod[..., Any]) -> MigratedMethod:
    async def answer(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = self.bento_service.context
        return await self.bentoml_flags_worker.answer(name, args, kwargs, context)

    async def stream(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = self.bento_service.context
        return await self.bentoml_flags_worker.stream(name, args, kwargs, context)

    make: Any = MigratedMethod  # whose other fields are those of BentoML's untyped class
    method: MigratedMethod = make(
        func=original.func,
        route=original.route,
        input_spec=original.input_spec,
        output_spec=original.output_spec,
        is_task=original.is_task,
        endpoint=stream if original.is_stream else answer,
    )
    method.ctx_param = None  # each side has one of its own
    return method


def _dependencies(plan: Plan) -> dict[str, Any]:
    """Return the services that both sides depend on: the new service starts them."""
    return {
        f"bentoml_flags_{side}_{name}": bentoml.depends(dependency.on)
        for side, service in plan.services.items()
        for name, dependency in service.dependencies.items()
        if dependency.on is not None
    }


def _carry_over(service: Service[Any], plan: Plan) -> None:
    """Give the new service what the primary has besides APIs, and what an embedded side needs."""
    placed, primary = plan.placement, plan.primary
    candidate = plan.services.get(Side.CANDIDATE)
    service.envs.extend(served_environment(primary, candidate, placed))
    if placed is Placement.RUNNERS:
        carry_over(service, primary, lambda: _worker().primary_side.session)
    else:
        service.models.extend(model for each in plan.services.values() for model in each.models)
        service.mount_asgi_app(primary_as_current(lambda: _worker().primary))
        carry_over(service, primary, None)
    service.middlewares.extend(outer_middlewares(primary))
    if plan.settings.migration_endpoints:  # after the primary's: where both answer, it goes first
        source = LiveSource(plan.registry, service.name, plan.flag, plan.settings)
        service.mount_asgi_app(endpoints(source), "/")


def _worker() -> MigrationWorker:
    """Return the worker that this process is."""
    worker: MigrationWorker = get_current_service().bentoml_flags_worker
    return worker
