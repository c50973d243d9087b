"""Give each side a `bentoml.Context` of its own, so that a shadow cannot touch the response."""

from collections.abc import Mapping
from typing import Any, Final

import bentoml
from starlette.requests import Request

_OWN: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "host",
        "keep-alive",
        "server",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "accept",
        "accept-encoding",
        "buffer-lengths",
        "x-bentoml-request-id",
        "x-bentoml-trace-id",
    }
)
"""Headers that belong to one hop, or that BentoML sets itself."""


class SideContext(bentoml.Context):
    """The request as it is, and a response that becomes the caller's only if the side is served."""

    def __init__(self, request: Request, state: dict[str, Any]) -> None:
        super().__init__()
        self.state = state
        self._request = request
        self._response = bentoml.Context.ResponseContext()

    @property
    def request(self) -> Request:
        """Return the caller's request, also after it was answered."""
        return self._request

    @property
    def response(self) -> bentoml.Context.ResponseContext:
        """Return this side's own response."""
        return self._response

    def apply_to(self, response: bentoml.Context.ResponseContext) -> None:
        """Make this side's response the caller's."""
        response.status_code = self._response.status_code
        response.metadata.update(self._response.metadata)
        response.cookies.extend(self._response.cookies)
        response.background.tasks.extend(self._response.background.tasks)


def forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that travel on to, or back from, a model in another process."""
    return {name: value for name, value in headers.items() if name.lower() not in _OWN}
