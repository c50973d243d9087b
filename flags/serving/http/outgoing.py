"""Let the id of a request travel to the services that its answer depends on.

A gateway in front of two migrations gets one id; both must choose their side by it. BentoML's
client asks OpenTelemetry's propagator for the headers of a call, in the gateway's process as well,
which imports the migrations that it depends on.
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

travelling: Final[ContextVar[Mapping[str, str] | None]] = ContextVar(
    "bentoml_flags_travelling", default=None
)
"""The headers by which the current request is known, once a migrated service has read them."""


class RequestHeaders(TextMapPropagator):
    """Send the headers that identify a request on to services of the same deployment."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,  # noqa: ARG002 - OpenTelemetry's own
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Add the headers to a call of BentoML's client to another service, and to no other."""
        given: Any = carrier
        kind = given.get("Content-Type") if hasattr(given, "get") else None
        if kind != PickleSerde.media_type:
            return
        for name, value in self._current().items():
            if name not in given:
                setter.set(carrier, name, value)

    def extract(
        self,
        carrier: CarrierT,  # noqa: ARG002 - OpenTelemetry's own
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,  # noqa: ARG002
    ) -> Context:
        """Leave `context` as it is: the edge reads the headers itself."""
        return Context() if context is None else context

    @property
    def fields(self) -> set[str]:
        """Return the names of the headers."""
        return self.names

    def _current(self) -> Mapping[str, str]:
        known = travelling.get()
        if known is not None:
            return known
        request = current_request.get(None)
        if request is None:
            return {}
        return {name: value for name in self.names if (value := request.headers.get(name))}


_OURS: Final = RequestHeaders()


def send_on(settings: Settings) -> None:
    """Have the headers that `settings` name travel from now on."""
    _OURS.names.update(identifying(settings))
    present = propagate.get_global_textmap()
    if _OURS not in getattr(present, "_propagators", ()):
        propagate.set_global_textmap(CompositePropagator([present, _OURS]))


def identifying(settings: Settings) -> list[str]:
    """Return the names of the headers by which a request is known to the flag."""
    names = (
        settings.request_id_header,
        settings.user_id_header,
        settings.session_id_header,
        *settings.context_headers,
    )
    return [name for name in names if name]
