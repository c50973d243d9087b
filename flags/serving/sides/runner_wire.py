"""The caller's request inside a header of a call to a side's own processes; response headers."""

import base64
import json
import pickle
from typing import Any, Final, NamedTuple

from starlette.responses import Response
from starlette.types import Scope

from flags.serving.sides.call_serde import VALUE_HEADER
from flags.serving.sides.request_state import PICKLED, pickled_state, with_state

CALL_HEADER: Final = "x-bentoml-flags-call"
"""Header of such a call; only a service that others depend on reads it."""

_HOP: Final = frozenset(
    {
        b"connection",
        b"date",
        b"keep-alive",
        b"server",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-bentoml-request-id",
        b"x-bentoml-trace-id",
        VALUE_HEADER.encode(),
    }
)
"""Headers of one connection, and headers that the caller's own worker sets."""

_PLAIN: Final = ("client", "server", "scheme", "http_version", "path", "root_path", "method")
_BYTES: Final = ("raw_path", "query_string")
_PICKLED: Final = "pickled"
"""Key of the pickled values in the header."""


class WireCall(NamedTuple):
    """A caller's request, as the model's process sees it."""

    scope: dict[str, Any]
    runs_tasks: bool
    """Whether background tasks of the call run; for a shadow they do not."""
    has_time_limit: bool = True
    """Whether the service's time limit of an answer holds; for a submitted task it does not."""

    @classmethod
    def of(cls, scope: Scope, *, runs_tasks: bool, has_time_limit: bool = True) -> "WireCall":
        """Take the plain values of an ASGI scope, and what middleware left in it."""
        return cls(
            {
                **{key: scope[key] for key in _PLAIN if key in scope},
                "query_string": scope.get("query_string", b""),
                "headers": scope["headers"],
                **({"raw_path": raw} if (raw := scope.get("raw_path")) is not None else {}),
                **pickled_state(scope),
            },
            runs_tasks,
            has_time_limit,
        )

    def packed(self) -> str:
        """Return the value of the header: JSON in ASCII."""
        pickled = {name: self.scope[name] for name in PICKLED if name in self.scope}
        scope: dict[str, Any] = {
            **{name: value for name, value in self.scope.items() if name not in PICKLED},
            **{name: self.scope[name].decode("latin-1") for name in _BYTES if name in self.scope},
            "headers": [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in self.scope["headers"]
            ],
        }
        if pickled:
            scope[_PICKLED] = base64.b64encode(pickle.dumps(pickled)).decode()
        return json.dumps([scope, *self[1:]], separators=(",", ":"))

    @classmethod
    def unpacked(cls, text: bytes) -> "WireCall":
        """Read the value of the header."""
        scope, *marks = json.loads(text)
        scope.update({name: scope[name].encode("latin-1") for name in _BYTES if name in scope})
        scope["headers"] = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in scope["headers"]
        ]
        if pickled := scope.pop(_PICKLED, None):
            scope.update(pickle.loads(base64.b64decode(pickled)))  # noqa: S301 - our own worker's
        for key in ("client", "server"):
            if scope.get(key) is not None:
                scope[key] = tuple(scope[key])
        return cls(with_state(scope), *marks)


def end_to_end_headers(raw: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response that are meant for the caller too."""
    return [(name.lower(), value) for name, value in raw if name.lower() not in _HOP]


def with_headers(response: Response, raw: Any) -> Response:
    """Return `response` with its headers replaced by those of another response."""
    response.raw_headers = end_to_end_headers(raw)
    return response
