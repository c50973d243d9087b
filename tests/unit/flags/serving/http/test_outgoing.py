"""The headers that identify a request are sent only to services of the same deployment."""

from bentoml._internal.context import ServiceContext
from opentelemetry import propagate
from starlette.requests import Request

from flags.serving.http.outgoing import forward_headers, identity_headers
from flags.serving.settings import Settings

PICKLED = {"Content-Type": "application/vnd.bentoml+pickle"}
CONTEXT = ServiceContext()


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


def injected(carrier: dict[str, str]) -> dict[str, str]:
    propagate.inject(carrier)
    return carrier


def test_a_plain_gateway_sends_its_caller_s_headers_on() -> None:
    forward_headers(Settings(context_headers={"X-Tenant": "tenantId"}))
    with CONTEXT.in_request(request(x_request_id="r-1", x_tenant="t", x_other="no")):
        sent = injected(dict(PICKLED))
    assert {name: sent.get(name) for name in ("X-Request-Id", "X-Tenant", "X-Other")} == {
        "X-Request-Id": "r-1",
        "X-Tenant": "t",
        "X-Other": None,
    }


def test_nothing_goes_to_strangers_or_over_what_is_there() -> None:
    forward_headers(Settings())
    with CONTEXT.in_request(request(x_request_id="r-1")):
        assert "X-Request-Id" not in injected({"Content-Type": "application/json"})
        assert injected({**PICKLED, "X-Request-Id": "own"})["X-Request-Id"] == "own"
    assert "X-Request-Id" not in injected(dict(PICKLED))


def test_an_id_that_a_migrated_service_made_travels_as_well() -> None:
    forward_headers(Settings())
    token = identity_headers.set({"X-Request-Id": "made"})
    try:
        assert injected(dict(PICKLED))["X-Request-Id"] == "made"
    finally:
        identity_headers.reset(token)


def test_it_is_installed_once() -> None:
    forward_headers(Settings())
    before = propagate.get_global_textmap()
    forward_headers(Settings())
    assert propagate.get_global_textmap() is before
