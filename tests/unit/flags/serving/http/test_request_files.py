"""The files of a request stay until its answer was sent and its pair is recorded."""

from pathlib import Path
from typing import Any

import pytest
from bentoml._internal.context import request_tempdir_pool
from PIL import Image
from starlette.requests import Request

from flags.pairing.call import Call
from flags.serving.http.request_files import RequestFiles
from flags.serving.sides.context import SideContext
from tests.support.fakes import until


@pytest.fixture
def request_() -> Request:
    return Request({"type": "http", "headers": [], "method": "POST", "path": "/"})


@pytest.fixture
def upload(request_: Request) -> Path:
    """Return a file where BentoML puts it."""
    request_.state.temp_dir = request_tempdir_pool.acquire()
    path = Path(request_.state.temp_dir) / "abc report.csv"
    path.write_text("1,2")
    return path


def gone(*paths: Path) -> bool:
    return not any(path.exists() for path in paths)


async def test_they_are_removed_at_the_second_release(request_: Request, upload: Path) -> None:
    files = RequestFiles(request_)
    own = Path(files.new_folder()) / "own"
    own.touch()
    assert not hasattr(request_.state, "temp_dir")  # or BentoML would remove it
    files.release()
    assert not gone(upload)
    assert not gone(own)
    files.release()
    await until(lambda: gone(upload, own.parent))
    await until(lambda: str(upload.parent) in request_tempdir_pool._pool)  # it can be used again


async def test_a_side_gets_copies_under_the_same_names(request_: Request, upload: Path) -> None:
    files = RequestFiles(request_)
    given = Call((upload,), {"several": [upload, upload], "number": 3, "none": None})
    copied = files.with_copies(given)
    paths = [*copied.args, *copied.kwargs["several"]]
    assert all(path != upload and path.name == upload.name for path in paths)
    assert len(set(paths)) == 3
    paths[0].write_text("changed")
    assert [path.read_text() for path in (upload, *paths[1:])] == ["1,2"] * 3
    assert (copied.kwargs["number"], copied.kwargs["none"]) == (3, None)
    files.release()
    files.release()
    await until(lambda: gone(*paths))


def test_a_file_that_cannot_be_copied_is_an_error(request_: Request, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RequestFiles(request_).with_copies(Call((tmp_path / "absent",)))


async def test_each_side_s_context_has_a_folder_of_its_own(request_: Request) -> None:
    files = RequestFiles(request_)
    contexts: list[Any] = [SideContext(request_, {}, files.new_folder) for _ in range(2)]
    folders = {Path(context.temp_dir) for context in contexts}
    assert len(folders) == 2
    assert {Path(context.temp_dir) for context in contexts} == folders  # the same again
    files.release()
    files.release()
    await until(lambda: gone(*folders))


async def test_a_request_without_files_costs_nothing(request_: Request) -> None:
    files = RequestFiles(request_)
    files.release()
    files.release()


def test_an_image_can_be_decoded_after_its_upload_was_closed(
    request_: Request, tmp_path: Path
) -> None:
    place = tmp_path / "a.png"
    Image.new("L", (2, 2), 7).save(place)
    with place.open("rb") as upload:
        call = Call((Image.open(upload),), {"more": [Image.open(upload)]})
        call = RequestFiles(request_).with_images(call)
    for image in (*call.args, *call.kwargs["more"]):
        assert image.getpixel((1, 1)) == 7
