"""Responses and background tasks of a candidate in another process."""

import asyncio
import pickle
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from flags.serving.isolated.pending_tasks import PendingTasks
from flags.serving.isolated.responses import needs_running, portable_response, run
from tests.support.fakes import until


async def rows() -> AsyncGenerator[bytes, None]:
    yield b"a,"
    yield b"b"


def test_a_response_travels_with_status_headers_and_body() -> None:
    response = JSONResponse({"a": 1}, 404, {"X-Why": "gone"})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    back = pickle.loads(pickle.dumps(portable_response(response))).restored()  # noqa: S301 - our own
    assert not needs_running(response)
    assert (back.status_code, back.body) == (404, b'{"a":1}')
    assert back.raw_headers == response.raw_headers


async def test_a_response_that_is_made_while_it_is_sent_travels_as_what_was_sent() -> None:
    response = StreamingResponse(rows(), 206, {"X-Why": "1"}, media_type="text/csv")
    assert needs_running(response)
    back = (await run(response)).restored()
    assert (back.status_code, back.body, back.headers["x-why"]) == (206, b"a,b", "1")
    assert back.headers["content-type"].startswith("text/csv")


def test_a_file_is_read_by_whoever_sends_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("content")
    response = FileResponse(path, filename="b.txt", background=BackgroundTask(print))
    back = pickle.loads(pickle.dumps(portable_response(response))).restored()  # noqa: S301 - our own
    assert isinstance(back, FileResponse)
    assert (str(back.path), back.background) == (str(path), None)
    assert back.raw_headers == response.raw_headers


def test_a_response_class_of_its_own_travels() -> None:
    class Teapot(Response):
        status_code = 418

    back = portable_response(Teapot(b"tea", 418)).restored()
    assert (back.status_code, back.body) == (418, b"tea")


@pytest.mark.parametrize("said_first", [True, False])
async def test_tasks_run_once_their_answer_is_served_and_not_before(said_first: bool) -> None:
    ran: list[str] = []
    left = PendingTasks()
    if said_first:
        left.served(7)
    left.keep(7, [BackgroundTask(ran.append, "seven")])
    left.keep(8, [BackgroundTask(ran.append, "of a shadow")])
    if not said_first:
        await asyncio.sleep(0)
        assert ran == []
        left.served(7)
    await until(lambda: bool(ran))
    assert ran == ["seven"]
