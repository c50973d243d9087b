"""Each side has a response of its own; only the served one's becomes the caller's."""

import bentoml
import pytest
from _bentoml_sdk.io_models import IODescriptor
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from flags.serving.sides.context import SideContext, with_context


def text_of() -> str:
    return ""


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


@pytest.mark.parametrize(
    "returned", ["a text", PlainTextResponse("a text", 404, {"x-both": "old"})]
)
async def test_an_answer_is_sent_with_what_its_side_set(
    request_: Request, returned: str | PlainTextResponse
) -> None:
    side = SideContext(request_, {})
    side.response.status_code = 202
    side.response.headers["x-both"] = "new"
    side.response.set_cookie("seen", "1")
    side.raw_cookies.append(b"other=2")
    spec = IODescriptor.from_output(text_of)
    sent = await with_context(returned, side, spec, request_)
    assert (sent.status_code, sent.body, sent.headers["x-both"]) == (202, b"a text", "new")
    cookies = [value for name, value in sent.headers.items() if name == "set-cookie"]
    assert [cookie.split(";")[0] for cookie in cookies] == ["seen=1", "other=2"]


async def test_a_response_that_has_everything_is_sent_as_it_is(request_: Request) -> None:
    side = SideContext(request_, {})
    side.is_applied = True
    returned = PlainTextResponse("gone", 404)
    spec = IODescriptor.from_output(text_of)
    assert await with_context(returned, side, spec, request_) is returned
    assert returned.status_code == 404


def test_a_shadow_is_told_so_in_its_headers_and_no_one_else(request_: Request) -> None:
    primary, candidate = SideContext(request_, {}), SideContext(request_, {})
    candidate.mark_shadow()
    assert candidate.request.headers["X-Shadow"] == "true"
    assert candidate.request.headers["X-Tenant"] == "t1"
    assert "X-Shadow" not in primary.request.headers
    assert "X-Shadow" not in request_.headers


async def test_background_tasks_of_the_served_side_run_after_the_answer(request_: Request) -> None:
    ran: list[str] = []
    side, caller = SideContext(request_, {}), bentoml.Context.ResponseContext()
    side.response.background.add_task(ran.append, "after the answer")
    side.add_tasks_to(caller)
    await caller.background()
    assert ran == ["after the answer"]


def test_a_context_is_what_bentoml_s_own_code_expects(request_: Request) -> None:
    context = SideContext(request_, {})
    assert isinstance(context, bentoml.Context)
    with context.in_request(request_):
        pass
