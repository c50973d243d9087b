"""Forward the id of a request to the services that its answer depends on.

A gateway in front of two migrations gets one id, and both must choose their side by it. BentoML's
client asks OpenTelemetry's propagator for the headers of a call. This also happens in the gateway's
process, because it imports the migrations that it depends on.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from flags.serving.bentoml_private import PickleSerde, current_request
from flags.serving.settings import Settings

identity_headers: Final[ContextVar[Mapping[str, str] | None]] = ContextVar(
    "bentoml_flags_identity_headers", default=None
)
"""The headers that identify the current request; None before a migrated service has read them."""


class RequestHeaders(TextMapPropagator):
    """Add the headers that identify a request to calls of services of the same deployment."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,  # noqa: ARG002 - OpenTelemetry's own
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Add the headers to a call by BentoML's client of another service, and to no other call.

        Such a call has a pickled body.
        """
        call_headers: Any = carrier
        media_type = call_headers.get("Content-Type") if hasattr(call_headers, "get") else None
        if not str(media_type).startswith(PickleSerde.media_type):
            return
        for name, value in self._current().items():
            if name not in call_headers:
                setter.set(carrier, name, value)

    def extract(
        self,
        carrier: CarrierT,  # noqa: ARG002 - OpenTelemetry's own
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,  # noqa: ARG002
    ) -> Context:
        """Return `context` unchanged: the middleware reads the headers itself."""
        return Context() if context is None else context

    @property
    def fields(self) -> set[str]:
        """Return the names of the headers."""
        return self.names

    def _current(self) -> Mapping[str, str]:
        headers = identity_headers.get()
        if headers is not None:
            return headers
        request = current_request.get(None)
        if request is None:
            return {}
        return {name: value for name in self.names if (value := request.headers.get(name))}


_OURS: Final = RequestHeaders()


def forward_headers(settings: Settings) -> None:
    """Forward the headers that `settings` name from now on."""
    _OURS.names.update(identity_header_names(settings))
    present = propagate.get_global_textmap()
    if _OURS not in getattr(present, "_propagators", ()):
        propagate.set_global_textmap(CompositePropagator([present, _OURS]))


def identity_header_names(settings: Settings) -> list[str]:
    """Return the names of the headers of request id and context fields."""
    names = (
        settings.request_id_header,
        settings.user_id_header,
        settings.session_id_header,
        *settings.context_headers,
    )
    return [name for name in names if name]
