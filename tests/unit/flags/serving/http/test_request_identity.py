"""The identity of a request: its id, and the attributes for the flag."""

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from starlette.datastructures import Headers

from flags.serving.http.request_identity import MAX_LENGTH, RequestIdentity, identify
from flags.serving.settings import Settings

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
TRACEPARENT = f"00-{TRACE_ID:032x}-b7ad6b7169203331-01"


def identified(settings: Settings | None = None, **headers: str) -> RequestIdentity:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return identify(Headers(named), settings or Settings())


@pytest.fixture(autouse=True)
def _in_another_trace() -> Iterator[None]:
    """Run in a trace that is not the caller's, because BentoML begins one for each request."""
    other = SpanContext(TRACE_ID + 1, 1, is_remote=False, trace_flags=TraceFlags(0))
    token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(other)))
    yield
    otel_context.detach(token)


def test_the_header_s_value_is_the_id() -> None:
    assert identified(x_request_id="r1").request_id == "r1"


def test_without_a_header_each_request_gets_a_new_uuid() -> None:
    first, second = identified().request_id, identified().request_id
    assert uuid.UUID(first) != uuid.UUID(second)


def test_without_a_header_the_caller_s_trace_id_is_the_id() -> None:
    assert identified(traceparent=TRACEPARENT).request_id == f"{TRACE_ID:032x}"


def test_the_header_goes_before_the_trace_id() -> None:
    assert identified(x_request_id="r1", traceparent=TRACEPARENT).request_id == "r1"


def test_a_trace_that_the_caller_did_not_send_is_not_an_id() -> None:
    assert uuid.UUID(identified().request_id).version == 4


@pytest.mark.parametrize("value", ["", "nonsense", f"00-{0:032x}-{1:016x}-01", TRACEPARENT[:-5]])
def test_a_traceparent_that_is_not_understood_is_not_an_id(value: str) -> None:
    assert uuid.UUID(identified(traceparent=value).request_id).version == 4


@pytest.mark.parametrize("value", ["x", "x" * MAX_LENGTH, "a b", "id-é-ÿ", "a/b?c=d;e", "0"])
def test_up_to_128_printable_characters_are_an_id(value: str) -> None:
    assert identified(x_request_id=value).request_id == value


@pytest.mark.parametrize(
    "value", ["", "  ", "x" * (MAX_LENGTH + 1), "a\x01", "a\tb", "\x7f", "\x9b31m"]
)
def test_any_other_value_is_as_if_the_caller_sent_none(value: str) -> None:
    """The primary alone would answer it."""
    assert uuid.UUID(identified(x_request_id=value).request_id).version == 4
    traced = identified(x_request_id=value, traceparent=TRACEPARENT)
    assert traced.request_id == f"{TRACE_ID:032x}"


@given(st.binary(max_size=200))
def test_every_id_can_be_sent_back_and_written_to_a_log_line(value: bytes) -> None:
    """Headers are latin-1 bytes."""
    headers = Headers(raw=[(b"x-request-id", value)])
    request_id = identify(headers, Settings()).request_id
    if request_id.encode("latin-1") != value:
        assert uuid.UUID(request_id).version == 4
    assert 1 <= len(request_id) <= MAX_LENGTH
    assert request_id.isprintable()


def test_the_name_of_the_header_is_a_setting() -> None:
    settings = Settings(request_id_header="X-Correlation-Id")
    assert identified(settings, x_correlation_id="c1", x_request_id="r1").request_id == "c1"


def test_without_a_name_no_header_is_looked_at() -> None:
    settings = Settings(request_id_header="", user_id_header="", session_id_header="")
    identity = identified(settings, x_request_id="r1", x_user_id="u1", x_session_id="s1")
    assert uuid.UUID(identity.request_id)
    assert identity.attributes == {}


def test_mapped_headers_are_attributes_whatever_their_case() -> None:
    settings = Settings(context_headers={"X-Tenant": "tenantId"})
    identity = identified(
        settings, **{"X-USER-ID": "u1", "x-session-id": "s1", "x-tenant": "t1", "x-other": "o"}
    )
    assert identity.attributes == {"userId": "u1", "sessionId": "s1", "tenantId": "t1"}


def test_headers_that_are_absent_or_empty_are_not_attributes() -> None:
    assert identified(x_user_id="").attributes == {}


def test_one_header_may_be_several_attributes() -> None:
    settings = Settings(session_id_header="X-User-Id", context_headers={"X-User-Id": "accountId"})
    attributes = identified(settings, x_user_id="u1").attributes
    assert attributes == {"userId": "u1", "sessionId": "u1", "accountId": "u1"}
    assert set(attributes) == set(settings.sent_fields)


def test_an_id_that_is_not_trusted_is_not_taken_whatever_it_is() -> None:
    settings = Settings(request_id_trusted=False)
    assert uuid.UUID(identified(settings, x_request_id="r1").request_id).version == 4
    assert uuid.UUID(identified(settings, x_request_id="x" * 1000).request_id).version == 4
    traced = identified(settings, x_request_id="r1", traceparent=TRACEPARENT)
    assert traced.request_id == f"{TRACE_ID:032x}"
