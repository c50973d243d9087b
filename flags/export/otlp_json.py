"""An encoder of spans for the lines of an OTLP JSON file.

The format is the OpenTelemetry file exporter's (https://opentelemetry.io/docs/specs/otel/protocol/
file-exporter/): one `TracesData` in OTLP/JSON per line, which may hold several spans. Written by
hand because this is the hot path; a test holds it equal to OpenTelemetry's own encoder.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import TraceFlags

_REMOTE_KNOWN, _REMOTE = 0x100, 0x200
"""Span flags: the parent's remoteness is known; the parent is remote (opentelemetry-proto)."""

_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""Numbers that JSON does not have, as ProtoJSON spells them."""


@dataclass(frozen=True, slots=True)
class LineFrame:
    """The JSON before and after the spans of a line: their resource and scope."""

    before: bytes
    after: bytes

    def line(self, spans: Sequence[bytes]) -> bytes:
        """Return a line with these encoded spans, and the line feed."""
        return self.before + b",".join(spans) + self.after


def spans_in(line: bytes) -> int:
    """Count the spans of a line without parsing it; a line without any counts as one."""
    return max(1, line.count(b'"spanId":'))  # quotes inside a string are preceded by a backslash


class LineEncoder:
    """An encoder of the spans of one resource and one scope, which are encoded only once."""

    def __init__(self, resource: Resource, scope: str, version: str) -> None:
        head = orjson.dumps({"attributes": _attributes(resource.attributes)})
        origin = orjson.dumps({"name": scope, "version": version})
        self.frame = LineFrame(
            b'{"resourceSpans":[{"resource":%b,"scopeSpans":[{"scope":%b,"spans":['
            % (head, origin),
            b"]}]}]}\n",
        )

    def span(self, span: ReadableSpan) -> bytes:
        """Return a span in OTLP/JSON."""
        encoded = _span(span)
        try:
            return orjson.dumps(encoded)
        except TypeError:
            # A lone surrogate (JSON escapes allow it, UTF-8 does not) is written as `?`.
            text = json.dumps(encoded, ensure_ascii=False, separators=(",", ":"))
            return text.encode("utf-8", "replace")


def _span(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    assert context is not None  # noqa: S101 - a span that was started has a context
    encoded: dict[str, Any] = {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "flags": int(context.trace_flags & TraceFlags.SAMPLED) | _REMOTE_KNOWN,
        "name": span.name,
        "kind": span.kind.value + 1,  # OTLP counts from 1, the SDK from 0
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes or {}),
        "status": {},
    }
    if context.trace_state:
        encoded["traceState"] = context.trace_state.to_header()
    if span.parent is not None:
        encoded["parentSpanId"] = f"{span.parent.span_id:016x}"
        if span.parent.is_remote:
            encoded["flags"] |= _REMOTE
    return encoded


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    kind = type(value)
    if kind is str:
        return {"stringValue": value}
    if kind is float and math.isfinite(value):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _NOT_FINITE[str(value)]}
    if isinstance(value, Sequence):
        return {"arrayValue": {"values": [_value(each) for each in value]} if value else {}}
    raise TypeError(f"{type(value).__name__} is not a type of an OpenTelemetry attribute")
