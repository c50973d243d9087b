"""The identity of a request: its id, and the attributes that the flag may use."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from flags.serving.settings import Settings

_W3C: Final = TraceContextTextMapPropagator()

MAX_LENGTH: Final = 128
"""Longest request id, in characters."""


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """The request id, and the attributes for the flag's evaluation context."""

    request_id: str
    attributes: Mapping[str, str]


def identify(headers: Mapping[str, str], settings: Settings) -> RequestIdentity:
    """Return the identity of a request with `headers` (a case-insensitive mapping).

    The id is the request-id header if it is trusted and has 1 to 128 printable characters, else the
    caller's W3C trace id, else a new UUID: the primary alone would answer any value.
    """
    mapped = (  # pairs, because one header may be mapped to several fields
        (settings.user_id_header, "userId"),
        (settings.session_id_header, "sessionId"),
        *settings.context_headers.items(),
    )
    attributes = {
        field: headers[header] for header, field in mapped if header and headers.get(header)
    }
    return RequestIdentity(_request_id(headers, settings), attributes)


def _request_id(headers: Mapping[str, str], settings: Settings) -> str:
    header = settings.request_id_header
    given = headers.get(header) if header and settings.request_id_trusted else None
    if given is not None and _is_usable(given):
        return given
    # From the header, not from the current span: if reading from a connection was paused, the
    # server runs later requests in the context of an earlier one.
    caller = trace.get_current_span(_W3C.extract(headers, Context())).get_span_context()
    if caller.is_valid:
        return f"{caller.trace_id:032x}"
    return str(uuid.uuid4())


def _is_usable(value: str) -> bool:
    return bool(value.strip()) and len(value) <= MAX_LENGTH and value.isprintable()
