"""`migrate`: build one BentoML service from two, with the same routes, schemas and docs."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from flags.serving.environment import (
    check_environments,
    save_operator_variables,
)
from flags.serving.hooks import check_commands
from flags.serving.http.outgoing import forward_headers
from flags.serving.isolated.environment import OwnEnvironment, own_environment_of
from flags.serving.legacy_runner import repair_runners
from flags.serving.plan import Plan, ProviderFactory, common_reading, planned_apis, services_of
from flags.serving.planned_service import planned_service
from flags.serving.remote.address import Remote
from flags.serving.settings import Settings
from flags.serving.sides.placement import (
    Placement,
    placement_beside_remote,
    placement_of,
)


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

    A candidate that is a separate deployment is given as `Remote("http://...")`. A candidate with
    an environment of its own is given by its import string and either `candidate_python`, an
    interpreter, or `candidate_requirements`, a file from which uv makes an environment (with that
    Python, if both are given).
    `score` and `threshold` say how the compared numbers are read from an answer: an attribute
    path, a callable on the answer, or a mapping of output names to these; `threshold` may also be
    a number. `segments` and `features` name the values of the input that are recorded; none by
    default. `unit` says who or what a request belongs to; its keyed hash is recorded. It is
    `header:X-Customer`, `input.customer_id` or a callable on the input; by default, the value of
    the flag's stickiness.
    `apis` overrides the reading of single APIs by name (None: no compared numbers). `placement`
    is `isolated`, `runners` or `embedded`; by default `runners` if one of the services is batched
    or asks for a GPU, else `isolated`. Beside a `Remote` candidate, the primary is in the worker
    (`embedded`) or in `runners`. Bodies over `max_request_bytes` are refused with HTTP 413.
    `decide(answer, thresholds)` returns the candidate's answer, decided at the thresholds of the
    flag's payload. With `shadow_tasks`, background tasks of the candidate's shadow calls run as
    well. `shadow_batch` names, by API, a method of the candidate that takes a list of inputs; it
    scores gathered shadows in one call.
    `provider` returns an OpenFeature provider to use instead of the settings' one. `config` is the
    configuration of the new service, as for `bentoml.service`; the rest comes from the primary.

    Raises ApiMismatchError, with route and difference, if the candidate lacks an API of the primary
    or has another schema; ReadingError if `score`, `unit` or a similar argument is malformed; and
    MigrationError for any other wrong argument.
    """
    candidate = own_environment_of(candidate, candidate_python, candidate_requirements)
    _check(primary, candidate, flag)
    services = services_of(primary, candidate)
    check_commands(services)
    for each in services.values():
        repair_runners(each)
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
    save_operator_variables(services.values())
    forward_headers(settings)
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
    service = planned_service(plan, service_name, max_request_bytes, config)
    # BentoML imports a service by the module that made it, which must be the caller's.
    service._caller_module = sys._getframe(1).f_globals["__name__"]
    return service


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
