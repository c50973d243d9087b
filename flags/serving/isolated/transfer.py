"""Values that plain pickle cannot carry to the candidate's process and back."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import bentoml
from opentelemetry import context as otel_context
from opentelemetry import trace
from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from flags.serving.bentoml_private import Cookie, trace_context
from flags.serving.http.outgoing import identity_headers
from flags.serving.sides.context import SideContext
from flags.serving.sides.request_state import PLAIN_KEYS, pickled_state, with_state


class HostedContext(SideContext):
    """The side's context in the candidate's process; its response is sent back to the worker."""

    def __init__(self, scope: dict[str, Any], state: dict[str, Any], folder: str) -> None:
        request = Request(with_state(scope))
        request.metadata = request.headers  # type: ignore[attr-defined]  # as BentoML does
        super().__init__(request, state, lambda: _new_folder(folder))

    @property
    def used_folder(self) -> str | None:
        """Return the request's folder; None if the model has not used it."""
        return self._temp_dir


def _new_folder(parent: str) -> str:
    os.makedirs(parent, exist_ok=True)  # the model may have removed it
    return tempfile.mkdtemp(dir=parent)


class ContextResponse(NamedTuple):
    """The response settings of the candidate's context. Its background tasks run in its process."""

    status_code: int
    headers: list[tuple[bytes, bytes]]
    cookies: list[Cookie]

    @classmethod
    def of(cls, response: bentoml.Context.ResponseContext) -> "ContextResponse":
        """Take status, headers and cookies of `response`."""
        return cls(response.status_code, MutableHeaders(response.metadata).raw, response.cookies)

    def apply_to(self, context: SideContext) -> None:
        """Set them on the side's context in the worker."""
        context.response.status_code = self.status_code
        context.response.metadata.update(MutableHeaders(raw=self.headers))
        context.response.cookies.extend(self.cookies)


class CallTrace(NamedTuple):
    """The trace of a call, for log lines and spans, BentoML's request id and identity headers."""

    trace_id: int
    span_id: int
    flags: int
    request_id: int | None
    headers: Mapping[str, str] | None
    """Headers that identify the request, for the services that the side depends on."""

    @classmethod
    def current(cls) -> "CallTrace":
        """Return the trace of the current task."""
        span = trace.get_current_span().get_span_context()
        return cls(
            span.trace_id,
            span.span_id,
            span.trace_flags,
            trace_context.request_id,
            identity_headers.get(),
        )

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Make this the current trace inside the `with` block."""
        trace_context.request_id = self.request_id
        identity_headers.set(self.headers)
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


class PortableImage(NamedTuple):
    """An image with the format in which it is sent, which its own pickle loses."""

    image: Any
    format: str | None

    @classmethod
    def of(cls, value: Any) -> Any:
        """Wrap an image of Pillow; return any other value unchanged."""
        if type(value).__module__.startswith("PIL."):
            return cls(value, getattr(value, "format", None))
        return value

    def restored(self) -> Any:
        """Return the image."""
        if self.image.format != self.format:
            self.image.format = self.format
        return self.image


def plain_scope(request: Request) -> dict[str, Any]:
    """Return the part of a request's scope that can be pickled."""
    plain = {key: request.scope[key] for key in PLAIN_KEYS if key in request.scope}
    return {**plain, **pickled_state(request.scope)}
