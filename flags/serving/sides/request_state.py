"""`request.state` as the primary's middleware left it, for a process in which that did not run."""

import pickle
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.types import Scope


def pickled_state(scope: Scope) -> dict[str, bytes]:
    """Return the values of a request's state, each pickled; without those that cannot be."""
    pickled = {}
    for name, value in scope.get("state", {}).items():
        with suppress(Exception):  # whatever a value's own pickling raises
            pickled[name] = pickle.dumps(value)
    return pickled


def unpickled_state(pickled: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the values again, without those whose class this process does not have."""
    state = {}
    for name, value in pickled.items():
        with suppress(Exception):  # whatever a class raises on import
            state[name] = pickle.loads(value)  # noqa: S301 - our own worker's
    return state
