"""The check that both services have the same routes and schemas."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bentoml import Service

from flags.errors import ApiMismatchError
from flags.serving.bentoml_private import APIMethod

_DESCRIPTIVE: Final = frozenset({"title", "description", "examples", "root_input"})
"""Keywords of a JSON schema that do not restrict the accepted or returned values."""

_ABSENT: Final = object()
"""Marks a keyword that one of two schemas lacks."""


@dataclass(frozen=True, slots=True)
class SharedApi:
    """One API of both services."""

    primary: APIMethod[..., Any]
    candidate: APIMethod[..., Any]

    @property
    def same_input_types(self) -> bool:
        """Say whether the candidate can take the primary's parsed input without conversion."""
        ours, theirs = self.primary.input_spec, self.candidate.input_spec
        if ours.__bases__ == theirs.__bases__ and _annotations(ours) == _annotations(theirs):
            return True
        return ours is theirs


def own_apis(primary: Service[Any]) -> dict[str, SharedApi]:
    """Return the primary's APIs by name, for a candidate whose APIs are not known yet.

    Raises ApiMismatchError if there are none.
    """
    if not primary.apis:
        raise ApiMismatchError(f"{primary.name} has no API that a candidate could take over")
    return {name: SharedApi(api, api) for name, api in primary.apis.items()}


def shared_apis(primary: Service[Any], candidate: Service[Any]) -> dict[str, SharedApi]:
    """Return the primary's APIs by name, each with the candidate's API of the same route.

    Raises ApiMismatchError, which names the route and the difference. Further APIs of the candidate
    are not served.
    """
    by_route = {api.route: api for api in candidate.apis.values()}
    shared: dict[str, SharedApi] = {}
    for name, ours in primary.apis.items():
        theirs = by_route.get(ours.route)
        if theirs is None:
            raise ApiMismatchError(
                f"{candidate.name} has no API {ours.route} as {primary.name} has; "
                f"it has {', '.join(sorted(by_route)) or 'none'}"
            )
        found = [*_differences(ours, theirs)]
        if found:
            raise ApiMismatchError(
                f"API {ours.route}: {candidate.name} differs from {primary.name}: "
                + "; ".join(found)
            )
        shared[name] = SharedApi(ours, theirs)
    if not shared:
        raise ApiMismatchError(f"{primary.name} has no API that a candidate could take over")
    return shared


def _differences(ours: APIMethod[..., Any], theirs: APIMethod[..., Any]) -> Iterator[str]:
    for word, mine, other in (
        ("is a stream", ours.is_stream, theirs.is_stream),
        ("is a task", ours.is_task, theirs.is_task),
        ("media type", ours.output_spec.mime_type(), theirs.output_spec.mime_type()),
    ):
        if mine != other:
            yield f"{word}: {other!r} instead of {mine!r}"
    for word in ("input", "output"):
        yield from differences(_schema(ours, word), _schema(theirs, word), word)


def _schema(api: APIMethod[..., Any], word: str) -> Any:
    spec = api.input_spec if word == "input" else api.output_spec
    return comparable(spec.model_json_schema())


def comparable(schema: Any) -> Any:
    """Return a JSON schema in a normal form, without references and descriptions.

    Versions of pydantic write differently a reference with a default (in `allOf`, up to 2.8), a
    literal (`enum` beside `const`, up to 2.9) and a mapping (`additionalProperties: true`, which
    is the default, from 2.11).
    """
    return _resolved(schema, {})


def _resolved(schema: Any, definitions: dict[str, Any], seen: tuple[str, ...] = ()) -> Any:
    """Return `schema` with references replaced by their definitions, and without descriptions."""
    if isinstance(schema, list):
        return [_resolved(each, definitions, seen) for each in schema]
    if not isinstance(schema, dict):
        return schema
    definitions = {**definitions, **schema.get("$defs", {})}
    if len(schema.get("allOf", ())) == 1:
        schema = {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}
    if "const" in schema and schema.get("enum") == [schema["const"]]:
        schema = {key: value for key, value in schema.items() if key != "enum"}
    if schema.get("additionalProperties") is True:
        schema = {key: value for key, value in schema.items() if key != "additionalProperties"}
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        if name in seen or name not in definitions:
            return {"recursive": True}
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _resolved({**definitions[name], **beside}, definitions, (*seen, name))
    return {
        key: _resolved_keyword(key, value, definitions, seen)
        for key, value in schema.items()
        if key not in _DESCRIPTIVE | {"$defs"}
    }


def _resolved_keyword(
    key: str, value: Any, definitions: dict[str, Any], seen: tuple[str, ...]
) -> Any:
    if key == "properties":  # its keys are fields, not keywords
        return {field: _resolved(each, definitions, seen) for field, each in value.items()}
    if key == "required":  # its order does not matter
        return sorted(value)
    return _resolved(value, definitions, seen)


def differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    """Yield each difference between two comparable schemas, in words."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in dict.fromkeys((*ours, *theirs)):
            place = path if key == "properties" else f"{path}.{key}"
            yield from differences(ours.get(key, _ABSENT), theirs.get(key, _ABSENT), place)
    elif ours != theirs:
        yield f"{path} is {_shown(theirs)} instead of {_shown(ours)}"


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    if isinstance(value, dict):
        return f"present ({value.get('type', 'any type')})"
    return repr(value)


def _annotations(spec: type[Any]) -> dict[str, Any]:
    """Return what reads each field: its type, and its validators."""
    return {name: (each.annotation, each.metadata) for name, each in spec.model_fields.items()}
