"""A `bentoml.Context` for each side, so that a shadow cannot change the response."""

import tempfile
from collections.abc import Awaitable, Callable
from typing import Any, Final

import bentoml
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from flags.serving.bentoml_private import ALL_SERDE, IODescriptor, set_cookies

SHADOW_HEADER: Final = (b"x-shadow", b"true")
"""Header that tells the candidate that its answer is a shadow's."""

CONTEXT: Final = "bentoml_flags_context"
"""Keyword argument by which a side in other processes gets its context, even if its API takes none:
the call to the other process is made from it."""

_JSON: Final = "application/json"


class SideContext(bentoml.Context):
    """The caller's request, and a response of the side's own, used only if the side is served."""

    def __init__(
        self,
        request: Request,
        state: dict[str, Any],
        new_folder: Callable[[], str] = tempfile.mkdtemp,
    ) -> None:
        super().__init__()
        self.state = state
        self.is_shadow = False
        """Whether the other side is the active one."""
        self.is_applied = False
        """Whether the side's answer is a response that has its status and all headers already."""
        self.raw_cookies: list[bytes] = []
        """Values of `set-cookie` headers from another process."""
        self.run_remote_tasks: Callable[[], Awaitable[None]] | None = None
        """Run the background tasks that the side added in another process."""
        self._request = request
        self._needs_mark = False
        self._new_folder = new_folder
        self._temp_dir: str | None = None
        self._response: bentoml.Context.ResponseContext | None = None

    @property
    def request(self) -> Request:
        """Return the caller's request, also after it was answered."""
        if self._needs_mark:
            self._needs_mark = False
            self._request = _with_shadow_header(self._request)
        return self._request

    @property
    def response(self) -> bentoml.Context.ResponseContext:
        """Return this side's own response."""
        if self._response is None:
            self._response = bentoml.Context.ResponseContext()
        return self._response

    @property
    def temp_dir(self) -> str:
        """Return this side's own folder for files of this request."""
        if self._temp_dir is None:
            self._temp_dir = self._new_folder()
        return self._temp_dir

    def mark_shadow(self) -> None:
        """Add a header that says that this is a shadow, as service meshes do for mirrored requests.

        The header is added when the side reads the request, after the answer was sent.
        """
        self._needs_mark = True

    def add_tasks_to(
        self, response: bentoml.Context.ResponseContext, *, streaming: bool = False
    ) -> None:
        """Run the side's background tasks after the caller's `response`.

        While it is `streaming`, the side may still add tasks.
        """
        if streaming:
            response.background.add_task(self.response.background)
        elif self._response is not None:
            response.background.tasks.extend(self._response.background.tasks)
        if self.run_remote_tasks is not None:
            response.background.tasks.append(BackgroundTask(self.run_remote_tasks))

    async def run_tasks(self) -> None:
        """Run the side's background tasks."""
        if self._response is not None:
            await self._response.background()
        if self.run_remote_tasks is not None:
            await self.run_remote_tasks()


def _with_shadow_header(request: Request) -> Request:
    scope = request.scope
    marked = Request({**scope, "headers": [*scope["headers"], SHADOW_HEADER]}, request.receive)
    marked.metadata = marked.headers  # type: ignore[attr-defined]  # as BentoML does
    return marked


def batch_context(path: str) -> SideContext:
    """Return the context of a call for many shadows, which only says that it is a shadow."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [SHADOW_HEADER],
    }
    context = SideContext(Request(scope), {})
    context.is_shadow = True
    return context


async def with_context(
    answer: Any, context: SideContext, spec: type[IODescriptor], request: Request
) -> Response:
    """Return `answer` as a response with the status, headers and cookies of the side's context."""
    if context.is_applied and isinstance(answer, Response):
        return answer
    response: Response = answer
    if not isinstance(answer, Response):
        media_type = request.headers.get("content-type", _JSON).split(";")[0].strip()
        serde = ALL_SERDE.get(media_type, ALL_SERDE[_JSON])()
        response = await spec.to_http_response(answer, serde)
    response.status_code = context.response.status_code
    response.headers.update(context.response.metadata)
    set_cookies(response, context.response.cookies)
    response.raw_headers.extend((b"set-cookie", each) for each in context.raw_cookies)
    return response
