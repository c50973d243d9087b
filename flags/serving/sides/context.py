"""A `bentoml.Context` for each side, so that a shadow cannot change the response."""

import tempfile
from collections.abc import Callable, Mapping
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

    def __init__(
        self,
        request: Request,
        state: dict[str, Any],
        new_folder: Callable[[], str] = tempfile.mkdtemp,
    ) -> None:
        super().__init__()
        self.state = state
        self._request = request
        self._new_folder = new_folder
        self._temp_dir: str | None = None
        self._response = bentoml.Context.ResponseContext()

    @property
    def request(self) -> Request:
        """Return the caller's request, also after it was answered."""
        return self._request

    @property
    def response(self) -> bentoml.Context.ResponseContext:
        """Return this side's own response."""
        return self._response

    @property
    def temp_dir(self) -> str:
        """Return this side's own folder for files of this request."""
        if self._temp_dir is None:
            self._temp_dir = self._new_folder()
        return self._temp_dir

    def apply_to(
        self, response: bentoml.Context.ResponseContext, *, streaming: bool = False
    ) -> None:
        """Make this side's response the caller's; one that is `streaming` may still add tasks."""
        response.status_code = self._response.status_code
        response.metadata.update(self._response.metadata)
        response.cookies.extend(self._response.cookies)
        if streaming:
            response.background.add_task(self._response.background)
        else:
            response.background.tasks.extend(self._response.background.tasks)


def forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that travel on to, or back from, a model in another process."""
    return {name: value for name, value in headers.items() if name.lower() not in _OWN}
