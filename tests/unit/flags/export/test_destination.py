"""OpenTelemetry's own variables say where pairs are shipped to."""

import logging

import pytest

from flags.errors import DestinationError
from flags.export.destination import Destination, Protocol

GENERAL = "OTEL_EXPORTER_OTLP_"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_"
HERE = {f"{GENERAL}ENDPOINT": "http://collector:4318"}


def destination(**environment: str) -> Destination:
    found = Destination.from_environment(HERE | environment)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {f"{GENERAL}ENDPOINT": ""},
        {f"{GENERAL}HEADERS": "a=b"},
        HERE | {"OTEL_TRACES_EXPORTER": "none"},
        HERE | {"OTEL_SDK_DISABLED": "True"},
    ],
)
def test_without_an_endpoint_or_switched_off_nothing_is_shipped(
    environment: dict[str, str],
) -> None:
    assert Destination.from_environment(environment) is None


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({f"{GENERAL}ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({f"{GENERAL}ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/traces"),
        ({f"{TRACES}ENDPOINT": "http://c:4318/own"}, "http://c:4318/own"),  # as it is
        (HERE | {f"{TRACES}ENDPOINT": "http://t:1/own"}, "http://t:1/own"),
        (HERE | {f"{TRACES}ENDPOINT": " "}, "http://collector:4318/v1/traces"),
    ],
)
def test_the_path_is_added_to_the_general_endpoint_alone(
    environment: dict[str, str], url: str
) -> None:
    found = Destination.from_environment(environment)
    assert found is not None
    assert found.url == url


def test_without_further_variables_the_protocol_is_protobuf_for_ten_seconds() -> None:
    assert destination() == Destination(
        "http://collector:4318/v1/traces", {}, 10.0, Protocol.PROTOBUF, gzip=False
    )


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("HEADERS", "api-key=a%20b,X-Tenant=t", "headers", {"api-key": "a b", "x-tenant": "t"}),
        ("HEADERS", " a = Bearer b==c , ,x=", "headers", {"a": "Bearer b==c", "x": ""}),
        ("TIMEOUT", "2.5", "timeout", 2.5),
        ("TIMEOUT", "10000", "timeout", 60.0),  # meant in milliseconds
        ("PROTOCOL", "http/json", "protocol", Protocol.JSON),
        ("COMPRESSION", "gzip", "gzip", True),
        ("CERTIFICATE", "/ca.pem", "certificate", "/ca.pem"),
        ("CLIENT_CERTIFICATE", "/me.pem", "client_certificate", "/me.pem"),
        ("CLIENT_KEY", "/me.key", "client_key", "/me.key"),
    ],
)
def test_each_variable_counts_and_that_for_traces_goes_first(
    variable: str, text: str, field: str, value: object
) -> None:
    assert getattr(destination(**{GENERAL + variable: text}), field) == value
    both = destination(**{GENERAL + variable: "nonsense", TRACES + variable: text})
    assert getattr(both, field) == value


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("ENDPOINT", "collector:4318", "is not an http:// or https:// URL"),
        ("ENDPOINT", "grpc://collector:4317", "is not an http:// or https:// URL"),
        ("ENDPOINT", "http://", "is not an http:// or https:// URL"),
        ("ENDPOINT", "http://c:port", "is not an http:// or https:// URL"),
        ("PROTOCOL", "grpc", "http/protobuf or http/json"),
        ("COMPRESSION", "zstd", "gzip or none"),
        ("TIMEOUT", "soon", "number of seconds"),
        ("TIMEOUT", "0", "number of seconds"),
        ("TIMEOUT", "nan", "number of seconds"),
    ],
)
def test_what_cannot_work_is_an_error_that_names_the_variable(
    variable: str, text: str, words: str
) -> None:
    with pytest.raises(DestinationError, match=words) as error:
        destination(**{GENERAL + variable: text})
    assert GENERAL + variable in str(error.value)


@pytest.mark.parametrize(
    "headers",
    ["s3cret-token", "authorization s3cret-token", "a=b,s3cret-token", "bad key=s3cret-token"]
    + [
        f"authorization=s3cret-token{escaped}" for escaped in ("%0Ax", "%E2%82%AC", "\u20ac", "%FF")
    ],
)
def test_headers_that_cannot_be_sent_are_refused_without_being_quoted(
    headers: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DestinationError, match=r"HEADERS: entry \d is not name=value") as error:
        destination(**{f"{GENERAL}HEADERS": headers})
    assert "s3cret" not in str(error.value) + caplog.text


def test_a_receiver_s_words_are_shown_without_what_it_was_told_by_us() -> None:
    found = destination(
        **{
            f"{TRACES}ENDPOINT": "https://user:passw0rd@collector:4318/v1/traces?key=query-key",
            f"{GENERAL}HEADERS": "authorization=Bearer%20s3cret-token,x-tenant=t",
        }
    )
    said = "the token s3cret-token of Bearer s3cret-token, passw0rd, ?key=query-key is not known"
    assert found.without_secrets(said) == "the token *** of ***, ***, ?*** is not known"


def test_no_secret_is_shown() -> None:
    found = destination(
        **{
            f"{TRACES}ENDPOINT": "https://user:secret@collector:4318/secret?key=secret",
            f"{GENERAL}HEADERS": "authorization=secret",
        }
    )
    assert str(found) == "https://collector:4318"
    assert "secret" not in repr(found)
