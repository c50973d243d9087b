"""Our encoder against OpenTelemetry's own."""

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from flags.export.otlp_json import LineEncoder

SAMPLED = 0x1
"""The low byte of a span's flags holds the W3C trace flags (opentelemetry-proto, `Span.flags`); the
official encoder leaves it empty."""


def span_of(
    attributes: dict[str, Any],
    *,
    parent: SpanContext | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    resource: dict[str, Any] | None = None,
    start: int = 1_763_880_000_000_000_000,
    duration: int = 1_000_000,
) -> ReadableSpan:
    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=Resource(resource or {}), shutdown_on_exit=False
    )
    span = provider.get_tracer("bentoml-flags", "1.2.3").start_span(
        "migration.pair",
        context=None if parent is None else set_span_in_context(NonRecordingSpan(parent)),
        kind=kind,
        attributes=attributes,
        start_time=start,
    )
    span.end(start + duration)
    assert isinstance(span, Span)
    return span


def ours(span: ReadableSpan) -> Any:
    encoder = LineEncoder(span.resource, "bentoml-flags", "1.2.3")
    line = encoder.frame.line([encoder.span(span)])
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return orjson.loads(line)


def only_span(traces: Any) -> Any:
    (resource_spans,) = traces["resourceSpans"]
    (scope_spans,) = resource_spans["scopeSpans"]
    (span,) = scope_spans["spans"]
    return span


def same(span: ReadableSpan) -> None:
    """Hold our line equal to OpenTelemetry's; an absent list and an empty one are the same."""
    mine, official = without_empty_lists(ours(span)), json.loads(encode_spans([span]).to_json())
    only_span(mine)["flags"] &= ~0xFF
    assert mine == official


def without_empty_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_empty_lists(each) for key, each in value.items() if each != []}
    if isinstance(value, list):
        return [without_empty_lists(each) for each in value]
    return value


names = st.text(min_size=1, max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**63), 2**63 - 1)
scalars = st.text(max_size=30) | st.booleans() | integers | finite
sequences = (
    st.lists(st.text(max_size=5), max_size=3)
    | st.lists(st.booleans(), max_size=3)
    | st.lists(integers, max_size=3)
    | st.lists(finite, max_size=3)
)
contexts = st.builds(
    SpanContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.sampled_from([TraceFlags(0), TraceFlags(SAMPLED)]),
    trace_state=st.sampled_from([TraceState(), TraceState([("a", "1"), ("b", "x=y")])]),
)


@given(
    st.dictionaries(names, scalars | sequences, max_size=8),
    st.none() | contexts,
    st.sampled_from(SpanKind),
    st.dictionaries(names, scalars, max_size=4),
    st.integers(1, 2**62),
    st.integers(0, 2**40),
)
@settings(max_examples=300, deadline=None)
def test_a_span_is_encoded_as_opentelemetry_does(
    attributes: dict[str, Any],
    parent: SpanContext | None,
    kind: SpanKind,
    resource: dict[str, Any],
    start: int,
    duration: int,
) -> None:
    same(
        span_of(
            attributes, parent=parent, kind=kind, resource=resource, start=start, duration=duration
        )
    )


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -0.0, 1e308, 5e-324, 2.0])
def test_every_number_is_spelled_as_opentelemetry_does(number: float) -> None:
    same(span_of({"x": number, "several": [number, 1.5]}))


@pytest.mark.parametrize("value", ["", 0, 0.0, False, [], [""], [0]])
def test_values_that_are_empty_or_zero_are_there(value: Any) -> None:
    same(span_of({"x": value}))


def test_a_value_of_no_type_is_an_error_and_not_a_wrong_line() -> None:
    encoder = LineEncoder(Resource({}), "scope", "1")
    span = span_of({})
    span._attributes = {"x": object()}  # type: ignore[dict-item]  # the SDK would refuse it
    with pytest.raises(TypeError, match="object is not a type of an OpenTelemetry attribute"):
        encoder.span(span)


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb", "\ude00\ud83d"])
def test_text_that_is_not_unicode_costs_the_character_and_not_the_pair(text: str) -> None:
    """JSON's escapes allow a lone surrogate; UTF-8, which the file is in, does not."""
    (attribute,) = only_span(ours(span_of({"x": text})))["attributes"]
    expected = text.encode("utf-8", "replace").decode()
    assert attribute == {"key": "x", "value": {"stringValue": expected}}


def test_a_pair_is_sampled_and_its_parent_s_remoteness_known() -> None:
    remote = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0))
    assert only_span(ours(span_of({})))["flags"] == 0x100 | SAMPLED
    assert only_span(ours(span_of({}, parent=remote)))["flags"] == 0x300 | SAMPLED


def test_a_line_break_in_a_value_is_not_a_line_break_in_the_file() -> None:
    (attribute,) = only_span(ours(span_of({"x": "a\nb\r\u2028"})))["attributes"]
    assert attribute["value"] == {"stringValue": "a\nb\r\u2028"}
