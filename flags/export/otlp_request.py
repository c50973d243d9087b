"""OTLP export requests made of the lines of pair files.

A request names each resource once, for all its spans. Protobuf messages are filled by hand:
`json_format` of protobuf takes ten times as long, and would want the ids in base64, where
OTLP/JSON has them in hexadecimal. A test holds both equal.
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
"""What text that is not JSON, and JSON that is not OTLP, raises."""

_BREATH: Final = 0.0002
"""Seconds of rest after each span, in which the event loop gets the interpreter. Without, it waits
5 ms each time it wakes up while a batch is encoded, measured; with it, 0.2 ms."""

CONTENT_TYPES: Final = {
    Protocol.PROTOBUF: "application/x-protobuf",
    Protocol.JSON: "application/json",
}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The body of one request. `unreadable` lines are not in it; `oldest` is in Unix ns.

    `left` counts the spans of the last line that come later.
    """

    body: bytes
    spans: int
    unreadable: int
    oldest: int | None
    left: int = 0


@dataclass(slots=True)
class _Group:
    """Spans of one resource and one scope."""

    resource: Mapping[str, Any]
    scope: Mapping[str, Any]
    spans: list[Any] = field(default_factory=list)


def export_request(
    lines: Sequence[bytes], protocol: Protocol, part: slice = slice(None)
) -> ExportRequest:
    """Return the request that holds the spans of `lines`, each a TracesData object in OTLP/JSON.

    Of each line, only a `part` of the spans is taken. A line that is none, as a power cut may leave
    behind, is counted and left out.
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
    """Return spans of a line, when the first of them ended, and how many come later."""
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
        time.sleep(_BREATH)
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
    for kind, held in value.items():
        return _ANY_VALUES[kind](held)
    return AnyValue()


_ANY_VALUES: Final[Mapping[str, Callable[[Any], AnyValue]]] = {
    "stringValue": lambda held: AnyValue(string_value=held),
    "boolValue": lambda held: AnyValue(bool_value=held),
    "intValue": lambda held: AnyValue(int_value=int(held)),
    "doubleValue": lambda held: AnyValue(double_value=float(held)),  # "NaN", "Infinity" as well
    "arrayValue": lambda held: AnyValue(
        array_value=ArrayValue(values=[_any_value(each) for each in held.get("values", ())])
    ),
}
"""An attribute of any other kind is none that this project writes: its line is unreadable."""

_ENCODINGS: Final[
    Mapping[
        Protocol,
        tuple[Callable[[Mapping[str, Any]], Any], Callable[[Sequence[_Group]], bytes]],
    ]
] = {
    Protocol.PROTOBUF: (_span, _protobuf_body),
    Protocol.JSON: (lambda span: span, _json_body),
}
