"""What the primary's middleware left in the ASGI scope, for a process in which it did not run.

That is `request.state`, and entries of its own such as the user and the session.
"""

import pickle
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.types import Scope

PLAIN_KEYS: Final = (
    "type",
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "root_path",
    "query_string",
    "headers",
    "client",
    "server",
    "path_params",
)
"""Keys of the ASGI scope whose values can be pickled. BentoML has already read the body."""

_OF_THE_SERVER: Final = frozenset(
    {
        *PLAIN_KEYS,
        "asgi",
        "subprotocols",
        "extensions",
        "state",
        "app",
        "router",
        "endpoint",
        "app_root_path",
        "starlette.exception_handlers",
    }
)
"""Keys of ASGI and Starlette. Those that a model reads are sent as they are, `state` by value."""

_OURS: Final = "bentoml_flags"

_ENTRIES: Final = "bentoml_flags.entries"
"""Key of the middleware's entries, pickled, in a scope that is sent."""

PICKLED: Final = ("state", _ENTRIES)
"""Keys of a scope that is sent whose values are pickled."""


def pickled_state(scope: Scope) -> dict[str, dict[str, bytes]]:
    """Return state and entries of a scope, each value pickled; without those that cannot be."""
    entries = {
        name: value
        for name, value in scope.items()
        if name not in _OF_THE_SERVER and not name.startswith(_OURS)
    }
    found = {"state": _pickled(scope.get("state", {})), _ENTRIES: _pickled(entries)}
    return {name: values for name, values in found.items() if values}


def with_state(scope: Scope) -> dict[str, Any]:
    """Return a scope that was sent, with the values of `pickled_state` restored.

    Values whose class this process does not have are left out.
    """
    restored = {**scope, **_unpickled(scope.get(_ENTRIES, {}))}
    restored.pop(_ENTRIES, None)
    if "state" in restored:
        restored["state"] = _unpickled(restored["state"])
    return restored


def _pickled(values: Mapping[str, Any]) -> dict[str, bytes]:
    pickled = {}
    for name, value in values.items():
        with suppress(Exception):  # whatever a value's own pickling raises
            pickled[name] = pickle.dumps(value)
    return pickled


def _unpickled(pickled: Mapping[str, bytes]) -> dict[str, Any]:
    values = {}
    for name, value in pickled.items():
        with suppress(Exception):  # whatever a class raises on import
            values[name] = pickle.loads(value)  # noqa: S301 - our own worker's
    return values
