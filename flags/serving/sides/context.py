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
"""What the candidate sees in the caller's headers where nobody waits for its answer."""

CONTEXT: Final = "bentoml_flags_context"
"""Keyword under which a side in other processes gets its context, whether its API takes one or not:
it says what the call is to that process."""

_JSON: Final = "application/json"


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
        self.is_shadow = False
        """Whether the other side is the active one."""
        self.is_applied = False
        """Whether the side's answer has its status and headers already, and all others."""
        self.raw_cookies: list[bytes] = []
        """Values of `set-cookie` that came ready from another process."""
        self.left_elsewhere: Callable[[], Awaitable[None]] | None = None
        """Runs the background tasks that were added in another process."""
        self._request = request
        self._to_mark = False
        self._new_folder = new_folder
        self._temp_dir: str | None = None
        self._response: bentoml.Context.ResponseContext | None = None

    @property
    def request(self) -> Request:
        """Return the caller's request, also after it was answered."""
        if self._to_mark:
            self._to_mark = False
            self._request = _marked(self._request)
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
        """Tell the side that nobody waits for its answer, as service meshes tell mirrored hosts.

        The request is made when the side asks for it: a shadow does so when the answer has left.
        """
        self._to_mark = True

    def leave_tasks_to(
        self, response: bentoml.Context.ResponseContext, *, streaming: bool = False
    ) -> None:
        """Have what the side left behind run after the caller's `response`.

        A side that is `streaming` may still add tasks.
        """
        if streaming:
            response.background.add_task(self.response.background)
        elif self._response is not None:
            response.background.tasks.extend(self._response.background.tasks)
        if self.left_elsewhere is not None:
            response.background.tasks.append(BackgroundTask(self.left_elsewhere))

    async def run_tasks(self) -> None:
        """Run what the side left behind."""
        if self._response is not None:
            await self._response.background()
        if self.left_elsewhere is not None:
            await self.left_elsewhere()


def _marked(request: Request) -> Request:
    scope = request.scope
    marked = Request({**scope, "headers": [*scope["headers"], SHADOW_HEADER]}, request.receive)
    marked.metadata = marked.headers  # type: ignore[attr-defined]  # as BentoML does
    return marked


def shadow_of_many(path: str) -> SideContext:
    """Return the context of a call for many requests: it says no more than that it is a shadow."""
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
    """Return `answer` as BentoML sends it for an API that has a context: with all that it set."""
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
