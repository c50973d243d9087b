"""The construction of the migrated BentoML service from a plan."""

from collections.abc import Mapping
from typing import Any, Final

import bentoml
from bentoml import Service

from flags.pairing.assignment import Side
from flags.serving.bentoml_private import APIMethod, get_current_service
from flags.serving.environment import served_environment
from flags.serving.hooks import carried_hooks
from flags.serving.http.endpoints import endpoints
from flags.serving.http.live import LiveSource
from flags.serving.http.middleware import RequestMiddleware
from flags.serving.isolated.environment import OwnEnvironment
from flags.serving.isolated.image import image_of_both
from flags.serving.migrated_service import MigratedMethod, MigratedService
from flags.serving.mounted_apps import carry_over, primary_as_current
from flags.serving.placed_sides import placed_sides
from flags.serving.plan import Plan
from flags.serving.sides.placement import Placement
from flags.serving.sides.runner_middleware import adapt_service, outer_middlewares
from flags.serving.worker import MigrationWorker

_MODEL_CONFIG: Final = frozenset({"resources", "threads", "workers"})
"""Configuration that under `runners` belongs to the model's own processes."""

_KEPT_FORM: Final = 8 * 2**20
"""Most bytes of files that are kept for a remote candidate; larger bodies are written anew."""

_CANDIDATES: Final = f"bentoml_flags_{Side.CANDIDATE}"
"""Beginning of the attributes that are the candidate and its dependencies."""


def planned_service(
    plan: Plan, name: str, max_request_bytes: int | None, config: Mapping[str, Any]
) -> Service[Any]:
    """Return the service; `config` overrides the primary's configuration."""
    primary = plan.primary
    apis = [each.shared.primary for each in plan.apis.values()]
    service: Service[Any] = bentoml.service(
        service_class=MigratedService,
        name=name,
        image=(
            image_of_both(primary.image, plan.candidate)
            if isinstance(plan.candidate, OwnEnvironment)
            else primary.image
        ),
        description=primary.description,
        path_prefix=primary.path_prefix,
        envs=[],  # set below, because BentoML takes dicts here and the primary has objects
        labels={**_labels(plan), **primary.labels},
        **{**_inherited(primary, plan.placement), **config},
    )(_migrated_class(plan))
    service.bentoml_flags_primary_service = primary
    _carry_over(service, plan)
    service.add_asgi_middleware(
        RequestMiddleware,
        routes=[_path(service, each) for each in apis],
        tasks=[_path(service, each) for each in apis if each.is_task],
        kept=_kept_bodies(service, plan),
        server=f"BentoML Service/{primary.name}",
        settings=plan.settings,
        max_request_bytes=max_request_bytes,
    )
    return service


def _kept_bodies(service: Service[Any], plan: Plan) -> dict[str, int | None]:
    """Return the routes whose body the candidate reads itself, with the most bytes to keep.

    A candidate in this process reads it at once, a remote one after the answer.
    """
    is_remote = Side.CANDIDATE not in plan.services
    shared = [each.shared for each in plan.apis.values()]
    return {
        _path(service, each.primary): _KEPT_FORM
        if is_remote and each.primary.input_spec.multipart_fields
        else None
        for each in shared
        if is_remote or not each.same_input_types
    }


def _path(service: Service[Any], api: APIMethod[..., Any]) -> str:
    return str((service.path_prefix or "") + api.route)


def _labels(plan: Plan) -> dict[str, str]:
    candidate = plan.services.get(Side.CANDIDATE)
    return candidate.labels if candidate else {}


def _inherited(primary: Service[Any], placement: Placement) -> dict[str, Any]:
    config: dict[str, Any] = dict(primary.config)
    if placement is Placement.RUNNERS:
        return {key: value for key, value in config.items() if key not in _MODEL_CONFIG}
    return config


def _migrated_class(plan: Plan) -> type[Any]:
    body: dict[str, Any] = {
        "__doc__": plan.primary.inner.__doc__,
        "__init__": lambda self: _init(self, plan),
        "__getattr__": _primary_attribute,
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


def _primary_attribute(self: Any, name: str) -> Any:
    """Return the primary's attribute that the migrated class lacks; used in unit tests."""
    if name.startswith(("__", "bentoml_flags_")):
        raise AttributeError(name)
    return getattr(self.bentoml_flags_worker.primary, name)


async def _startup(self: Any) -> None:
    await self.bentoml_flags_worker.start(self.bento_service)
    # BentoML's /readyz waits for every dependency that it finds as an attribute. The candidate and
    # its dependencies must not count: while a process of them is dead, the primary still answers.
    for name in self.bento_service.dependencies:
        if name.startswith(_CANDIDATES):
            setattr(self, name, None)


async def _shutdown(self: Any) -> None:
    await self.bentoml_flags_worker.stop()


def _endpoint(name: str, original: APIMethod[..., Any]) -> MigratedMethod:
    async def answer(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = self.bento_service.context
        return await self.bentoml_flags_worker.answer(name, args, kwargs, context)

    async def stream(self: Any, *args: Any, **kwargs: Any) -> Any:
        context = self.bento_service.context
        return await self.bentoml_flags_worker.stream(name, args, kwargs, context)

    make: Any = MigratedMethod  # untyped, because it inherits fields of BentoML's untyped class
    method: MigratedMethod = make(
        func=original.func,
        route=original.route,
        input_spec=original.input_spec,
        output_spec=original.output_spec,
        is_task=original.is_task,
        endpoint=stream if original.is_stream else answer,
    )
    method.ctx_param = None  # each side gets its own context
    return method


def _dependencies(plan: Plan) -> dict[str, Any]:
    """Return the services that the sides depend on.

    BentoML starts those that are not at an address, and /readyz waits for the primary's.
    """
    return {
        f"bentoml_flags_{side}_{name}": bentoml.depends(
            dependency.on,
            url=dependency.url,
            deployment=dependency.deployment,
            cluster=dependency.cluster,
        )
        for side, service in plan.services.items()
        for name, dependency in service.dependencies.items()
    }


def _carry_over(service: Service[Any], plan: Plan) -> None:
    """Add the primary's variables, models, applications and middlewares to the new service."""
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
    if plan.settings.migration_endpoints:  # last, so that the primary's own routes win
        source = LiveSource(plan.registry, service.name, plan.flag, plan.settings)
        service.mount_asgi_app(endpoints(source), "/")


def _worker() -> MigrationWorker:
    """Return the worker of this process."""
    worker: MigrationWorker = get_current_service().bentoml_flags_worker
    return worker
