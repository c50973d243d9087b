"""The check of a server's `/schema.json` against the APIs of the primary."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from flags.serving.api_contract import comparable, differences
from flags.serving.bentoml_private import APIMethod

_API_KEYS: Final = frozenset({"is_stream", "media_type"})
"""Keys in BentoML's description of an output that do not belong to its JSON schema."""


def schema_differences(
    apis: Iterable[APIMethod[..., Any]], document: Any, prefix: str = ""
) -> list[str]:
    """Return the differences, in words, between the server's schema `document` and `apis`.

    `prefix` is the path of the server's base address, with which its routes may begin.
    """
    routes = document.get("routes") if isinstance(document, Mapping) else None
    if not isinstance(routes, list) or not all(isinstance(each, Mapping) for each in routes):
        return ["its /schema.json lists no routes: it is not a BentoML server"]
    by_route = {str(each.get("route")): each for each in routes}
    return [words for api in apis for words in _api_differences(api, by_route, prefix)]


def routes_by_name(document: Any) -> dict[str, Mapping[str, Any]]:
    """Return the descriptions of a server's APIs by their name."""
    routes = document.get("routes") if isinstance(document, Mapping) else None
    return {
        str(each["name"]): each
        for each in (routes if isinstance(routes, list) else ())
        if isinstance(each, Mapping) and "name" in each and "route" in each
    }


def _api_differences(
    api: APIMethod[..., Any], by_route: Mapping[str, Mapping[str, Any]], prefix: str
) -> Iterator[str]:
    theirs = by_route.get(prefix + api.route) or by_route.get(api.route)
    if theirs is None:
        known = ", ".join(sorted(by_route)) or "none"
        yield f"it has no API {api.route}; it has {known}"
        return
    ours = json.loads(json.dumps(api.schema(), default=str))
    if bool(ours.get("is_task")) != bool(theirs.get("is_task")):
        yield f"API {api.route}: only one of the two is a task"
    for word in ("input", "output"):
        mine, other = ours.get(word) or {}, theirs.get(word) or {}
        if not isinstance(other, Mapping):
            yield f"API {api.route}: {word} is {other!r}"
            continue
        for key in sorted(_API_KEYS):
            if mine.get(key) != other.get(key):
                yield (
                    f"API {api.route}: {word} {key} is {other.get(key)!r} instead of "
                    f"{mine.get(key)!r}"
                )
        for difference in differences(_json_schema(mine), _json_schema(other), word):
            yield f"API {api.route}: {difference}"


def _json_schema(schema: Mapping[str, Any]) -> Any:
    return comparable({key: value for key, value in schema.items() if key not in _API_KEYS})
