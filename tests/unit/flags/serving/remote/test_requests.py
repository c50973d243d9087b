"""A server reads from our request the same input that the primary got."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import aiohttp
import bentoml
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from flags.serving.bentoml_private import ALL_SERDE, IORootModel, current_request
from flags.serving.http.outgoing import identity_headers
from flags.serving.remote.requests import Body, call_body, call_headers

Image = pytest.importorskip("PIL.Image")


class Card(pydantic.BaseModel):
    country: str
    code: str = pydantic.Field(alias="kode", default="")


class Claim(pydantic.BaseModel):
    amount: float
    tags: list[str] = []
    card: Optional[Card] = None  # noqa: UP045 - as BentoML's users write it


@bentoml.service
class Apis:
    @bentoml.api
    def whole(self, claim: Claim, /) -> str: ...  # type: ignore[empty-body]

    @bentoml.api
    def parts(self, claim: Claim, weight: int = 2) -> str: ...  # type: ignore[empty-body]

    @bentoml.api
    def text(self, prompt: str, /) -> str: ...  # type: ignore[empty-body]

    @bentoml.api
    def array(self, vector: np.ndarray) -> str: ...  # type: ignore[empty-body]

    @bentoml.api
    def frame(self, rows: pd.DataFrame, /) -> str: ...  # type: ignore[empty-body]

    @bentoml.api
    def picture(self, image: Image.Image, /) -> str: ...  # type: ignore[empty-body,name-defined]

    @bentoml.api
    def form(  # type: ignore[empty-body]
        self,
        note: str,
        claim: Claim,
        file: Path,
        pictures: list[Image.Image],  # type: ignore[name-defined]
    ) -> str: ...


async def received(name: str, *args: Any, keep: list[Request] | None = None, **kwargs: Any) -> Any:
    """Return what BentoML's server makes of a call of this API: a value, or values by name."""
    spec = Apis.apis[name].input_spec
    content_type, content = await _wire(call_body(Apis.apis[name], args, kwargs))
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent = True
        return {"type": "http.request", "body": content, "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    serde = ALL_SERDE.get(content_type.partition(";")[0], ALL_SERDE["application/json"])()
    request = Request(scope, receive)
    current_request.set(request)  # in whose folder BentoML puts files
    model = await spec.from_http_request(request, serde)
    assert sent
    if keep is not None:
        keep.append(request)  # closing it closes its files
    else:
        await request.close()
    if isinstance(model, IORootModel):
        return model.root
    if getattr(spec, "__root_input__", False):
        return model
    return {field: getattr(model, field) for field in spec.model_fields}


async def _wire(body: Body) -> tuple[str, bytes]:
    payload = body.payload()
    if not isinstance(payload, aiohttp.FormData):
        assert body.media_type is not None
        return body.media_type, payload.encode() if isinstance(payload, str) else payload
    form = payload()
    chunks: list[bytes] = []

    class Writer:
        async def write(self, chunk: bytes) -> None:
            chunks.append(chunk)

    await form.write(Writer())  # type: ignore[arg-type]
    return form.content_type, b"".join(chunks)


@given(
    amount=st.floats(),
    tags=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3),
    country=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)
def test_a_model_arrives_as_it_was(amount: float, tags: list[str], country: str | None) -> None:
    card = None if country is None else Card(country=country, kode="k")
    claim = Claim(amount=amount, tags=tags, card=card)
    whole = asyncio.run(received("whole", claim))
    assert repr(whole.model_dump()) == repr(claim.model_dump())  # NaN is NaN
    parts = asyncio.run(received("parts", claim=claim, weight=3))
    assert parts["weight"] == 3
    assert repr(parts["claim"].model_dump()) == repr(claim.model_dump())


async def test_a_text_arrives_as_it_was() -> None:
    assert await received("text", "ünïcode\n{}") == "ünïcode\n{}"


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
async def test_an_array_arrives_to_the_last_bit(kind: Any) -> None:
    vector = (np.arange(6).reshape(2, 3) / 3).astype(kind)
    got = await received("array", vector=vector)
    assert np.array_equal(got["vector"].astype(kind), vector)


async def test_a_frame_arrives_with_its_gaps() -> None:
    rows = pd.DataFrame({"amount": [1.5, None], "country": ["FR", "DE"]})
    got = await received("frame", rows)
    pd.testing.assert_frame_equal(got, rows)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA"])
async def test_an_image_arrives_to_the_last_pixel(mode: str) -> None:
    image = Image.effect_noise((9, 7), 50).convert(mode)
    got = await received("picture", image)
    assert (got.mode, got.size) == (image.mode, image.size)
    assert got.tobytes() == image.tobytes()


async def test_files_images_and_models_arrive_in_one_form(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"a,b\n\xff\x00")
    pictures = [Image.new("RGB", (2, 2), (1, 2, number)) for number in range(2)]
    claim = Claim(amount=1, card=Card(country="FR"))
    kept: list[Request] = []
    got = await received("form", keep=kept, note="5", claim=claim, file=file, pictures=pictures)
    assert got["note"] == "5"
    assert got["claim"].model_dump() == claim.model_dump()
    assert got["file"].name.endswith("rows.csv")
    assert got["file"].read_bytes() == file.read_bytes()
    assert [each.tobytes() for each in got["pictures"]] == [each.tobytes() for each in pictures]
    await kept[0].close()


async def test_a_file_that_is_gone_is_an_error_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        call_body(
            Apis.apis["form"],
            (),
            {"note": "", "claim": Claim(amount=1), "file": tmp_path / "gone", "pictures": []},
        )


def sent(given: Mapping[str, str], token: str | None = None, *, credentials: bool = False) -> Any:
    raw = [(name.lower().encode(), value.encode()) for name, value in given.items()]
    request = Request({"type": "http", "headers": raw})
    return call_headers(request, token, credentials=credentials)


def test_headers_of_the_connection_and_the_body_stay_here() -> None:
    given = {"Host": "us", "Content-Length": "5", "Content-Type": "a/b", "Connection": "close"}
    assert "x-tenant" in sent({**given, "X-Tenant": "acme"})
    assert not set(map(str.lower, sent(given))) & set(map(str.lower, given))


def test_credentials_go_along_only_where_it_is_said() -> None:
    given = {"Authorization": "Bearer caller", "Cookie": "a=1"}
    assert "Authorization" not in sent(given)
    assert "Cookie" not in sent(given)
    assert sent(given, credentials=True)["Authorization"] == "Bearer caller"
    ours = sent(given, "ours", credentials=True)
    assert ours.getall("Authorization") == ["Bearer ours"]
    assert ours["Cookie"] == "a=1"


def test_the_request_id_goes_along_also_where_the_caller_sent_none() -> None:
    token = identity_headers.set({"X-Request-Id": "made-here"})
    try:
        assert sent({})["X-Request-Id"] == "made-here"
    finally:
        identity_headers.reset(token)
