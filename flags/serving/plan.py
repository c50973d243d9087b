"""The plan of a migrated service: the result of `migrate`, carried out by the workers."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bentoml import Service
from openfeature.provider import FeatureProvider

from flags.errors import MigrationError, ReadingError
from flags.monitoring.worker_state import WorkerRegistry
from flags.pairing.assignment import Side
from flags.pairing.kinds.declared import ScoreSpec
from flags.pairing.reading import FieldSpec, Reading, ThresholdSpec
from flags.pairing.tuning import Decide
from flags.pairing.unit import Units
from flags.serving.api_contract import SharedApi
from flags.serving.batch_method import BatchMethod
from flags.serving.bentoml_private import APIMethod, is_iterator_type
from flags.serving.isolated.environment import OwnEnvironment
from flags.serving.remote.address import Remote
from flags.serving.settings import Settings
from flags.serving.sides.placement import Placement

ProviderFactory = Callable[[Settings], FeatureProvider]


@dataclass(frozen=True, slots=True)
class PlannedApi:
    """One API of the migrated service, and the reading of its inputs and answers."""

    shared: SharedApi
    reading: Reading

    @property
    def is_tuned(self) -> bool:
        """Say whether the flag can tune a threshold: not of a stream, whose items were sent."""
        return bool(self.reading.outputs) and not self.shared.primary.is_stream


@dataclass(frozen=True, slots=True)
class Plan:
    """All arguments of `migrate`, checked and resolved."""

    flag: str
    primary: Service[Any]
    candidate: Service[Any] | Remote | OwnEnvironment
    apis: Mapping[str, PlannedApi]
    placement: Placement
    settings: Settings
    registry: WorkerRegistry
    units: Units
    provider: ProviderFactory | None = None
    decide: Decide | None = None
    batches: Mapping[str, BatchMethod] = field(default_factory=dict)
    """The candidate's methods over many inputs, by the API whose shadows they score."""
    shadow_tasks: bool = False
    """Whether background tasks of the candidate's shadow calls run."""

    @property
    def services(self) -> Mapping[Side, Service[Any]]:
        """Return the services that are imported here; without a remote candidate, for example."""
        return services_of(self.primary, self.candidate)


def services_of(
    primary: Service[Any], candidate: Service[Any] | Remote | OwnEnvironment
) -> dict[Side, Service[Any]]:
    """Return the services that are imported here, by side."""
    if isinstance(candidate, Service):
        return {Side.PRIMARY: primary, Side.CANDIDATE: candidate}
    return {Side.PRIMARY: primary}


def common_reading(
    score: ScoreSpec | None, threshold: ThresholdSpec, segments: FieldSpec, features: FieldSpec
) -> Reading:
    """Return the reading of every API without its own.

    Raises ReadingError for a malformed argument, and MigrationError for a threshold without a
    score.
    """
    if score is not None:
        return Reading.of(score, threshold, segments, features)
    if threshold is not None:
        raise MigrationError("threshold is given without score: say which number it belongs to")
    return Reading.inputs(segments, features)


def planned_apis(
    shared: Mapping[str, SharedApi], reading: Reading, apis: Mapping[str, Reading | None]
) -> dict[str, PlannedApi]:
    """Return the plan of each API; raises MigrationError or ReadingError."""
    unknown = sorted(set(apis) - set(shared))
    if unknown:
        raise MigrationError(f"apis names {unknown}, but the services have {sorted(shared)}")
    readings = {name: apis.get(name, reading) or Reading.nothing() for name in shared}
    for name, api in shared.items():
        if api.primary.is_stream:
            _check_stream_reading(readings[name], api.primary.route)
        else:
            _check_no_stream(api)
            readings[name] = readings[name].of_answers(api.primary.output_spec, api.primary.route)
    return {name: PlannedApi(api, readings[name]) for name, api in shared.items()}


def _check_stream_reading(reading: Reading, route: str) -> None:
    """Raise ReadingError for a path that cannot lead into a stream's collected items."""
    for word, path in reading.paths():
        if not path.split(".")[0].lstrip("-").isdigit():
            raise ReadingError(
                f"{word} {path!r} is not in an answer of {route}, which is a stream: its items "
                "are read as one text, or as a list. Give a callable, a path with a position "
                "such as '-1.score', or none by apis={...}"
            )


def _check_no_stream(api: SharedApi) -> None:
    """Raise MigrationError for a function that returns a stream but is not a generator function."""
    for method in (api.primary, api.candidate):
        if is_iterator_type(_return_annotation(method)):
            raise MigrationError(
                f"API {method.route} returns a stream without being a generator function: "
                "write it with yield"
            )


def _return_annotation(api: APIMethod[..., Any]) -> Any:
    try:
        return inspect.signature(api.func, eval_str=True).return_annotation
    except NameError:  # a type that is imported only for type checkers
        return None
