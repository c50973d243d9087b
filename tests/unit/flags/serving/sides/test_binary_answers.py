"""Images, files and bytes are sent as BentoML would, once, and measured as they are sent."""

import hashlib
import io
from pathlib import Path
from typing import Annotated, Any

import bentoml
import pytest
from _bentoml_impl.serde import JSONSerde
from bentoml.validators import ContentType
from pydantic import BaseModel
from starlette.responses import Response

from flags.serving.sides.binary_answers import is_binary, is_file, is_image, measure, rendering

Image = pytest.importorskip("PIL.Image", reason="images need pillow")


class Opinion(BaseModel):
    image: str


@bentoml.service
class Answers:
    @bentoml.api
    def image(self) -> Image.Image: ...

    @bentoml.api
    def file(self) -> Path: ...

    @bentoml.api
    def audio(self) -> Annotated[Path, ContentType("audio/mpeg")]: ...

    @bentoml.api
    def raw(self) -> bytes: ...

    @bentoml.api
    def text(self) -> str: ...

    @bentoml.api
    def model(self) -> Opinion: ...

    @bentoml.api
    def anything(self): ...  # type: ignore[no-untyped-def]


def spec_of(name: str) -> Any:
    return Answers.apis[name].output_spec


def picture(form: str | None = None) -> Image.Image:
    image = Image.new("RGB", (4, 4), (9, 8, 7))
    image.format = form
    return image


@pytest.mark.parametrize(
    ("name", "binary", "file", "image"),
    [
        ("image", True, True, True),
        ("file", True, True, False),
        ("audio", True, True, False),
        ("raw", True, False, False),
        ("text", False, False, False),
        ("model", False, False, False),
        ("anything", False, False, False),
    ],
)
def test_what_an_api_answers_with_is_told_from_its_schema(
    name: str, binary: bool, file: bool, image: bool
) -> None:
    spec = spec_of(name)
    assert (is_binary(spec), is_file(spec), is_image(spec)) == (binary, file, image)


@pytest.mark.parametrize(
    ("name", "answer"),
    [("image", picture()), ("image", picture("JPEG")), ("raw", b"\x00\xff"), ("raw", b"")],
)
async def test_an_answer_is_rendered_as_bentoml_would(name: str, answer: Any) -> None:
    expected = await spec_of(name).to_http_response(answer, JSONSerde())
    rendered = await rendering(spec_of(name))(answer)
    assert isinstance(rendered, Response)
    assert (rendered.body, rendered.raw_headers) == (expected.body, expected.raw_headers)
    content = measure(rendered)
    assert content.length == len(expected.body)
    assert content.digest == hashlib.sha256(expected.body).hexdigest()
    assert (content.items, content.first_item) == (None, None)


async def test_a_file_stays_on_the_disk_and_is_measured_there(tmp_path: Path) -> None:
    path, held = tmp_path / "large.bin", b"0123456789" * 300_000
    path.write_bytes(held)
    rendered = await rendering(spec_of("file"))(path)
    assert rendered is path
    assert measure(rendered).length == len(held)
    assert measure(rendered).digest == hashlib.sha256(held).hexdigest()


async def test_a_file_that_is_not_there_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await rendering(spec_of("file"))(tmp_path / "absent")


async def test_what_is_rendered_already_is_left_alone() -> None:
    response = Response(b"x")
    assert await rendering(spec_of("image"))(response) is response


@pytest.mark.parametrize("answer", [b"no image", {"no": "image"}, None])
async def test_what_is_not_an_image_is_not_an_answer(answer: Any) -> None:
    """Bytes that are an image are taken for one, as BentoML does."""
    with pytest.raises(Exception, match=r".+"):
        await rendering(spec_of("image"))(answer)


async def test_an_image_of_bytes_is_one() -> None:
    buffer = io.BytesIO()
    picture().save(buffer, "PNG")
    assert (await rendering(spec_of("image"))(buffer.getvalue())).body == buffer.getvalue()
