"""OTLP export requests made of the lines of pair files.

A request holds each resource once, with all its spans. Protobuf messages are filled by hand:
protobuf's `json_format` takes ten times as long and expects ids in base64, while OTLP/JSON has them
in hexadecimal. A test compares both results.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from flags.export.destination import Protocol

_MALFORMED: Final = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)
"""Errors raised by text that is not JSON, and by JSON that is not OTLP."""

_PAUSE: Final = 0.0002
"""Seconds of sleep after each span, so that the event loop gets the interpreter. While a batch is
encoded, the loop waits 5 ms at each wake-up without the pause, 0.2 ms with it (measured)."""

CONTENT_TYPES: Final = {
    Protocol.PROTOBUF: "application/x-protobuf",
    Protocol.JSON: "application/json",
}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The body of one request."""

    body: bytes
    spans: int
    unreadable: int
    """Lines that could not be read, and are not in the body."""
    oldest: int | None
    """When the first of the spans ended, in Unix nanoseconds."""
    left: int = 0
    """Spans of the last line that follow in later requests."""


@dataclass(slots=True)
class _Group:
    """The spans of one resource and one scope."""

    resource: Mapping[str, Any]
    scope: Mapping[str, Any]
    spans: list[Any] = field(default_factory=list)


def export_request(
    lines: Sequence[bytes], protocol: Protocol, part: slice = slice(None)
) -> ExportRequest:
    """Return a request with the spans of `lines`, each a TracesData object in OTLP/JSON.

    Only the slice `part` of each line's spans is taken. Lines that are not OTLP/JSON, e.g. after a
    power cut, are left out and counted.
    """
    span_of, body_of = _ENCODINGS[protocol]
    groups: list[_Group] = []
    unreadable, left, oldest = 0, 0, None
    for line in lines:
        try:
            read, ended, left = _read(line, span_of, part)
        except _MALFORMED:
            unreadable += 1
            continue
        for group in read:
            _merge(groups, group)
        oldest = ended if oldest is None else min(oldest, ended)
    spans = sum(len(group.spans) for group in groups)
    return ExportRequest(body_of(groups), spans, unreadable, oldest, left)


def _read(
    line: bytes, span_of: Callable[[Mapping[str, Any]], Any], part: slice
) -> tuple[list[_Group], int, int]:
    """Return the spans of a line within `part`, when the first ended, and how many come after."""
    every = [
        (resource_spans, scope_spans, span)
        for resource_spans in orjson.loads(line)["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    ]
    groups: list[_Group] = []
    for resource_spans, scope_spans, span in every[part]:
        resource, scope = resource_spans.get("resource") or {}, scope_spans.get("scope") or {}
        _merge(groups, _Group(resource, scope, [span_of(span)]))
        time.sleep(_PAUSE)
    ended = min(int(span["endTimeUnixNano"]) for _, _, span in every[part])
    return groups, ended, max(0, len(every) - (len(every) if part.stop is None else part.stop))


def _merge(groups: list[_Group], new: _Group) -> None:
    for group in groups:
        if group.resource == new.resource and group.scope == new.scope:
            group.spans += new.spans
            return
    groups.append(new)


def _json_body(groups: Sequence[_Group]) -> bytes:
    return orjson.dumps(
        {
            "resourceSpans": [
                {
                    "resource": group.resource,
                    "scopeSpans": [{"scope": group.scope, "spans": group.spans}],
                }
                for group in groups
            ]
        }
    )


def _protobuf_body(groups: Sequence[_Group]) -> bytes:
    request = ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=_key_values(group.resource)),
                scope_spans=[
                    ScopeSpans(
                        scope=InstrumentationScope(
                            name=group.scope.get("name", ""),
                            version=group.scope.get("version", ""),
                            attributes=_key_values(group.scope),
                        ),
                        spans=group.spans,
                    )
                ],
            )
            for group in groups
        ]
    )
    body: bytes = request.SerializeToString()
    return body


def _span(span: Mapping[str, Any]) -> Span:
    status = span.get("status", {})
    return Span(
        trace_id=bytes.fromhex(span["traceId"]),
        span_id=bytes.fromhex(span["spanId"]),
        parent_span_id=bytes.fromhex(span.get("parentSpanId", "")),
        trace_state=span.get("traceState", ""),
        flags=span.get("flags", 0),
        name=span["name"],
        kind=span.get("kind", 0),
        start_time_unix_nano=int(span["startTimeUnixNano"]),
        end_time_unix_nano=int(span["endTimeUnixNano"]),
        attributes=_key_values(span),
        status=Status(message=status.get("message"), code=status.get("code")),
    )


def _key_values(holder: Mapping[str, Any]) -> list[KeyValue]:
    return [
        KeyValue(key=each["key"], value=_any_value(each["value"]))
        for each in holder.get("attributes", ())
    ]


def _any_value(value: Mapping[str, Any]) -> AnyValue:
    for kind, content in value.items():
        return _ANY_VALUES[kind](content)
    return AnyValue()


_ANY_VALUES: Final[Mapping[str, Callable[[Any], AnyValue]]] = {
    "stringValue": lambda content: AnyValue(string_value=content),
    "boolValue": lambda content: AnyValue(bool_value=content),
    "intValue": lambda content: AnyValue(int_value=int(content)),
    "doubleValue": lambda content: AnyValue(
        double_value=float(content)
    ),  # "NaN", "Infinity" as well
    "arrayValue": lambda content: AnyValue(
        array_value=ArrayValue(values=[_any_value(each) for each in content.get("values", ())])
    ),
}
"""This project writes attributes of no other kind; a line with another one is unreadable."""

_ENCODINGS: Final[
    Mapping[
        Protocol,
        tuple[Callable[[Mapping[str, Any]], Any], Callable[[Sequence[_Group]], bytes]],
    ]
] = {
    Protocol.PROTOBUF: (_span, _protobuf_body),
    Protocol.JSON: (lambda span: span, _json_body),
}
