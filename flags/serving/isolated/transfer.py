"""What travels with a request to the candidate's process and back, beyond plain pickle."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import bentoml
import pydantic
from opentelemetry import context as otel_context
from opentelemetry import trace
from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from flags.serving.bentoml_private import Cookie, IOMixin, trace_context
from flags.serving.http.outgoing import travelling
from flags.serving.sides.context import SideContext

_CARRIED: Final = (
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
"""Keys of the ASGI scope whose values are plain; the body was read by BentoML already."""


class HostedContext(SideContext):
    """The caller's request as the candidate sees it there, and the response that travels back."""

    def __init__(self, scope: dict[str, Any], state: dict[str, Any], folder: str) -> None:
        request = Request(scope)
        request.metadata = request.headers  # type: ignore[attr-defined]  # as BentoML does
        super().__init__(request, state, lambda: _new_folder(folder))

    @property
    def used_folder(self) -> str | None:
        """Return the request's folder if it was asked for."""
        return self._temp_dir


def _new_folder(parent: str) -> str:
    os.makedirs(parent, exist_ok=True)  # the model may have cleared it away
    return tempfile.mkdtemp(dir=parent)


class CarriedResponse(NamedTuple):
    """What the candidate set on its context. Its background tasks stay behind, and run there."""

    status_code: int
    headers: list[tuple[bytes, bytes]]
    cookies: list[Cookie]

    @classmethod
    def of(cls, response: bentoml.Context.ResponseContext) -> "CarriedResponse":
        """Take what can travel from `response`."""
        return cls(response.status_code, MutableHeaders(response.metadata).raw, response.cookies)

    def apply_to(self, context: SideContext) -> None:
        """Make this the response of the side's context in the worker."""
        context.response.status_code = self.status_code
        context.response.metadata.update(MutableHeaders(raw=self.headers))
        context.response.cookies.extend(self.cookies)


class Traced(NamedTuple):
    """Where a call belongs: its trace, for log lines and spans, and BentoML's request id."""

    trace_id: int
    span_id: int
    flags: int
    request_id: int | None
    headers: Mapping[str, str] | None
    """Those by which the request is known, for the services that the side depends on."""

    @classmethod
    def current(cls) -> "Traced":
        """Return what is current in this task."""
        span = trace.get_current_span().get_span_context()
        return cls(
            span.trace_id,
            span.span_id,
            span.trace_flags,
            trace_context.request_id,
            travelling.get(),
        )

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Make this current."""
        trace_context.request_id = self.request_id
        travelling.set(self.headers)
        span = trace.NonRecordingSpan(
            trace.SpanContext(
                self.trace_id,
                self.span_id,
                is_remote=True,
                trace_flags=trace.TraceFlags(self.flags),
            )
        )
        token = otel_context.attach(trace.set_span_in_context(span))
        try:
            yield
        finally:
            otel_context.detach(token)


class InputState(NamedTuple):
    """State of an input whose class BentoML made of the API's, and which has no name to import."""

    state: dict[Any, Any]

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return the state of such an input, and any other as it is."""
        return cls(value.__getstate__()) if isinstance(value, IOMixin) else value

    def restored(self, kind: type[pydantic.BaseModel]) -> pydantic.BaseModel:
        """Return the input as an instance of `kind`; it was validated before it travelled."""
        value = kind.__new__(kind)
        value.__setstate__(self.state)
        return value


class CarriedImage(NamedTuple):
    """An image with the format in which it is to be sent, which its own pickle forgets."""

    image: Any
    format: str | None

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return an image of Pillow so, and any other value as it is."""
        if type(value).__module__.startswith("PIL."):
            return cls(value, getattr(value, "format", None))
        return value

    def restored(self) -> Any:
        """Return the image."""
        if self.image.format != self.format:
            self.image.format = self.format
        return self.image


def carried_scope(request: Request) -> dict[str, Any]:
    """Return the plain part of a request's scope."""
    return {key: request.scope[key] for key in _CARRIED if key in request.scope}
