"""Export requests hold what the lines hold, held equal to protobuf's own reading of OTLP/JSON."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource

from flags.export.destination import Protocol
from flags.export.otlp_json import LineEncoder
from flags.export.otlp_request import ExportRequest, export_request
from tests.support.pair_files import span, traces
from tests.unit.flags.export.test_otlp_json import contexts, names, scalars, sequences, span_of

Decode = Callable[[ExportRequest], ExportTraceServiceRequest]


def from_json(text: bytes) -> ExportTraceServiceRequest:
    """Return what protobuf makes of OTLP/JSON, once the ids are in base64 as it wants them."""

    def rewritten(held: Any) -> Any:
        if isinstance(held, dict):
            return {
                key: base64.b64encode(bytes.fromhex(each)).decode()
                if key in ("traceId", "spanId", "parentSpanId")
                else rewritten(each)
                for key, each in held.items()
            }
        return [rewritten(each) for each in held] if isinstance(held, list) else held

    return json_format.ParseDict(rewritten(json.loads(text)), ExportTraceServiceRequest())


def from_protobuf(body: bytes) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(body)


@given(
    st.dictionaries(names, scalars | sequences, max_size=8),
    st.none() | contexts,
    st.dictionaries(names, scalars, max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_a_request_holds_what_the_line_holds(
    attributes: dict[str, Any], parent: Any, resource: dict[str, Any]
) -> None:
    encoder = LineEncoder(Resource(resource), "scope", "1")
    line = encoder.frame.line([encoder.span(span_of(attributes, parent=parent))])
    wanted = from_json(line)
    assert from_protobuf(export_request([line], Protocol.PROTOBUF).body) == wanted
    assert from_json(export_request([line], Protocol.JSON).body) == wanted


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324])
def test_numbers_that_json_has_not_come_through(number: float) -> None:
    encoder = LineEncoder(Resource({}), "scope", "1")
    line = encoder.frame.line([encoder.span(span_of({"x": number}))])
    request = from_protobuf(export_request([line], Protocol.PROTOBUF).body)
    (attribute,) = request.resource_spans[0].scope_spans[0].spans[0].attributes
    assert repr(attribute.value.double_value) == repr(number)


def line(number: int, owner: str = "a", scope: str = "s", service: str = "S") -> bytes:
    held = traces(span("migration.pair", {"n": number}, number=number, owner=owner), scope=scope)
    held["resourceSpans"][0]["resource"]["attributes"][0]["value"]["stringValue"] = service
    return json.dumps(held).encode()


@pytest.mark.parametrize(
    ("protocol", "decode"), [(Protocol.PROTOBUF, from_protobuf), (Protocol.JSON, from_json)]
)
def test_what_lines_share_is_sent_once(
    protocol: Protocol, decode: Callable[[bytes], ExportTraceServiceRequest]
) -> None:
    lines = [line(1), line(2), line(3, service="T"), line(4), line(5, scope="t")]
    request = export_request(lines, protocol)
    assert (request.spans, request.unreadable) == (5, 0)
    held = [
        (
            resource.resource.attributes[0].value.string_value,
            scope.scope.name,
            [each.attributes[0].value.int_value for each in scope.spans],
        )
        for resource in decode(request.body).resource_spans
        for scope in resource.scope_spans
    ]
    assert held == [("S", "s", [1, 2, 4]), ("T", "s", [3]), ("S", "t", [5])]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\0\0\0",
        b"[]",
        b"{}",
        b'"resourceSpans"',
        b'{"resourceSpans": [{}]}',
        line(1)[:-9],
        line(1).replace(b'"traceId": "', b'"traceId": "x'),
        line(1).replace(b'"endTimeUnixNano": "', b'"endTimeUnixNano": "9999999999999999999'),
        line(1).replace(b"intValue", b"whatValue"),
    ],
)
def test_a_line_that_is_not_otlp_is_counted_and_costs_no_other(bad: bytes) -> None:
    request = export_request([line(1), bad, line(2)], Protocol.PROTOBUF)
    assert (request.spans, request.unreadable) == (2, 1)
    (resource,) = from_protobuf(request.body).resource_spans
    assert len(resource.scope_spans[0].spans) == 2


def test_the_age_is_that_of_the_pair_that_ended_first() -> None:
    ends = [int(json.loads(line(number))["resourceSpans"][0]["scopeSpans"][0]["spans"][0][
        "endTimeUnixNano"
    ]) for number in (7, 3, 9)]  # fmt: skip
    request = export_request([line(7), line(3), line(9)], Protocol.JSON)
    assert request.oldest == min(ends)
    assert export_request([b"x"], Protocol.JSON).oldest is None


def test_of_a_line_a_part_is_sent_and_the_rest_counted() -> None:
    spans = [span("migration.pair", {"n": number}, number=number, owner="a") for number in range(5)]
    several = json.dumps(traces(*spans)).encode()
    request = export_request([several], Protocol.PROTOBUF, slice(1, 3))
    assert (request.spans, request.left, request.unreadable) == (2, 2, 0)
    (sent,) = from_protobuf(request.body).resource_spans
    assert [each.attributes[0].value.int_value for each in sent.scope_spans[0].spans] == [1, 2]
    assert request.oldest == int(spans[1]["endTimeUnixNano"])
    whole = export_request([several], Protocol.PROTOBUF, slice(3, 9))
    assert (whole.spans, whole.left) == (2, 0)
