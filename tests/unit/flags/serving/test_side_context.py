"""Each side has a response of its own; only the served one's becomes the caller's."""

import bentoml
import pytest
from starlette.requests import Request

from flags.serving.sides.context import SideContext, forwarded


@pytest.fixture
def request_() -> Request:
    """Return a caller's request."""
    headers = [(b"x-tenant", b"t1"), (b"authorization", b"Bearer x")]
    return Request({"type": "http", "method": "POST", "path": "/predict", "headers": headers})


def shown(response: bentoml.Context.ResponseContext) -> tuple[int, dict[str, str], list[str]]:
    cookies = [f"{cookie.key}={cookie.value}" for cookie in response.cookies]
    return response.status_code, dict(response.metadata), cookies


def test_each_side_sees_the_same_request_and_its_own_response(request_: Request) -> None:
    state = {"model": "loaded"}
    primary, candidate = SideContext(request_, state), SideContext(request_, state)
    assert primary.request is candidate.request is request_
    assert primary.state is candidate.state is state
    candidate.response.status_code = 500
    candidate.response.headers["x-debug"] = "1"
    candidate.response.set_cookie("seen", "by-candidate")
    assert shown(primary.response) == (200, {}, [])


def test_the_served_side_s_response_becomes_the_caller_s(request_: Request) -> None:
    side, caller = SideContext(request_, {}), bentoml.Context.ResponseContext()
    caller.headers["x-kept"] = "kept"
    caller.headers["x-both"] = "old"
    side.response.status_code = 202
    side.response.headers["x-both"] = "new"
    side.response.headers["x-added"] = "added"
    side.response.set_cookie("seen", "1")
    side.apply_to(caller)
    assert shown(caller) == (
        202,
        {"x-kept": "kept", "x-both": "new", "x-added": "added"},
        ["seen=1"],
    )


async def test_background_tasks_of_the_served_side_run_after_the_answer(request_: Request) -> None:
    ran: list[str] = []
    side, caller = SideContext(request_, {}), bentoml.Context.ResponseContext()
    side.response.background.add_task(ran.append, "after the answer")
    side.apply_to(caller)
    await caller.background()
    assert ran == ["after the answer"]


def test_a_context_is_what_bentoml_s_own_code_expects(request_: Request) -> None:
    context = SideContext(request_, {})
    assert isinstance(context, bentoml.Context)
    with context.in_request(request_):
        pass


def test_headers_of_one_hop_do_not_travel_on() -> None:
    headers = {
        "X-Tenant": "t1",
        "Authorization": "Bearer x",
        "Content-Type": "application/json",
        "content-length": "5",
        "Transfer-Encoding": "chunked",
        "Connection": "close",
        "Host": "service",
        "traceparent": "00-1-2-01",
        "X-BentoML-Request-Id": "1",
    }
    assert forwarded(headers) == {"X-Tenant": "t1", "Authorization": "Bearer x"}
