"""A candidate's method that scores many inputs of an API in one call."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic
from bentoml import Service

from flags.errors import MigrationError
from flags.pairing.call import Call
from flags.serving.api_contract import SharedApi
from flags.serving.bentoml_private import APIMethod, AutoContainer, IORootModel
from flags.serving.sides.binary_answers import is_binary
from flags.serving.sides.context import CONTEXT


@dataclass(frozen=True, slots=True)
class BatchMethod:
    """A method `name` of the candidate over a list of inputs of `api`.

    An input is the value of the API's only parameter, or a dict if the API has several parameters.
    If the method is the API itself, declared `batchable`, it gets inputs joined as BentoML joins
    them.
    """

    api: APIMethod[..., Any]
    """The candidate's API; the primary's if the candidate is not imported here."""
    name: str
    own: APIMethod[..., Any] | None = None
    """The API that the method itself is; None if it is none, or not known here."""
    is_async: bool = False

    @property
    def joins(self) -> bool:
        """Say whether inputs are joined along a dimension, instead of put into a list."""
        return bool(self.name == self.api.name)

    def row(self, call: Call) -> Any:
        """Return the input of `call`, without the context of its request."""
        if call.args:
            return call.args[0]
        contexts = {CONTEXT, self.api.ctx_param}
        inputs = {name: value for name, value in call.kwargs.items() if name not in contexts}
        return next(iter(inputs.values())) if len(self.api.input_spec.model_fields) == 1 else inputs

    def joined(self, rows: Sequence[Any]) -> Any:
        """Return the rows as a list, or joined by BentoML."""
        if not self.joins:
            return list(rows)
        return AutoContainer.batches_to_batch(rows, self.api.batch_dim[0])[0]

    def split(self, answer: Any, rows: Sequence[Any]) -> Sequence[Any]:
        """Return the answers in order of the rows; raises ValueError if their numbers differ."""
        if not self.joins:
            answers = list(answer)
            if len(answers) != len(rows):
                raise ValueError(f"{self.name} has {len(answers)} answers to {len(rows)} inputs")
            return answers
        input_dim, output_dim = self.api.batch_dim
        bounds = AutoContainer.batches_to_batch(rows, input_dim)[1]
        size = AutoContainer.get_batch_size(answer, output_dim)
        if size != bounds[-1]:
            raise ValueError(f"{self.name} has {size} answers to {bounds[-1]} inputs")
        return AutoContainer.batch_to_batches(answer, bounds, output_dim)


def batch_methods(
    named: Mapping[str, str],
    shared: Mapping[str, SharedApi],
    candidate: Service[Any] | None,
    *,
    over_http: bool,
    shadow_tasks: bool,
) -> dict[str, BatchMethod]:
    """Return the batch method for each API in `named`, by the API's name.

    `candidate` is None if it is not imported here. If it is reached `over_http`, the method must be
    an API. Raises MigrationError for a method that cannot be called with many inputs.
    """
    unknown = sorted(set(named) - set(shared))
    if unknown:
        raise MigrationError(
            f"shadow_batch names {unknown}, but the services have {sorted(shared)}"
        )
    methods = {}
    for name, method in named.items():
        api = shared[name].candidate
        _check_api(name, api, shadow_tasks=shadow_tasks)
        if candidate is None:
            methods[name] = _not_imported(api, method)
        else:
            methods[name] = _of_service(api, method, candidate, over_http=over_http)
    return methods


def _check_api(name: str, api: APIMethod[..., Any], *, shadow_tasks: bool) -> None:
    if api.is_stream or is_binary(api.output_spec):
        raise MigrationError(
            f"shadow_batch names {name!r}, whose answers are a stream, images, files or bytes: "
            "these are scored one at a time"
        )
    if shadow_tasks and api.ctx_param is not None:
        raise MigrationError(
            f"shadow_batch names {name!r} and shadow_tasks is set: a call for many requests has no "
            "context of one, to which it could add background tasks"
        )


def _not_imported(api: APIMethod[..., Any], name: str) -> BatchMethod:
    """Return the method of a candidate that is not imported here; `api` is the primary's.

    An API that is `batchable` in the primary takes joined inputs in the candidate too, because it
    has the same schema.
    """
    if name != api.name:
        return BatchMethod(api, name)
    if not api.batchable:
        raise MigrationError(
            f"shadow_batch has {name!r} for itself, which is not batchable: name an API of the "
            "candidate over a list of its inputs"
        )
    if api.input_spec.multipart_fields or len(api.input_spec.model_fields) != 1:
        raise MigrationError(f"shadow_batch: {name} must have one parameter, and no files")
    return BatchMethod(api, name, api)


def _of_service(
    api: APIMethod[..., Any], name: str, candidate: Service[Any], *, over_http: bool
) -> BatchMethod:
    said = f"shadow_batch: {candidate.name}.{name}"
    member = getattr(candidate.inner, name, None)
    if not callable(member) and not isinstance(member, APIMethod):
        raise MigrationError(f"{said} is not a method: it must take a list of inputs of {api.name}")
    own = candidate.apis.get(name)
    if name == api.name and not api.batchable:
        raise MigrationError(
            f"{said} takes one input: name a method over a list of them, or declare it batchable"
        )
    if own is None and over_http:
        raise MigrationError(
            f"{said} is not an API: a candidate in processes of its own is reached by HTTP, so it "
            "must be decorated with @bentoml.api"
        )
    if own is not None and (own.is_stream or own.ctx_param is not None):
        raise MigrationError(f"{said} must take a list and return one: no context, no stream")
    if own is not None and len(own.input_spec.model_fields) != 1:
        raise MigrationError(f"{said} must have one parameter, the list of inputs")
    function = own.func if own is not None else member
    return BatchMethod(api, name, own, inspect.iscoroutinefunction(function))


def method_of(instance: Any, method: BatchMethod) -> Any:
    """Return the method of `instance` for calls within its process."""
    member = getattr(instance, method.name)
    return getattr(member, "local", member)


def read_rows(answers: Sequence[Any], method: BatchMethod) -> list[Any]:
    """Return answers from another process, validated as the API's own types."""
    spec = method.api.output_spec

    def read(answer: Any) -> Any:
        if isinstance(answer, pydantic.BaseModel):  # already validated by BentoML's client
            return answer
        model = spec.model_validate(answer)
        return model.root if isinstance(model, IORootModel) else model

    return [read(each) for each in answers]
