"""Inputs and answers reach another process as they were, without being validated again."""

import io
import pickle
from typing import Any

import bentoml
import pytest
from PIL import Image
from pydantic import BaseModel, Field

from flags.serving.bentoml_private import APIMethod, Payload
from flags.serving.sides.call_serde import CallSerde, answer_of, call_body
from flags.serving.sides.value_pickle import pickled
from tests.support.services.amounts import Amount, Louder, Page, Tags


class Upload(BaseModel, arbitrary_types_allowed=True):
    image: Image.Image
    title: str = Field(alias="Title")


def local_class() -> type[BaseModel]:
    """Return a class that no other process can import."""

    class Local(BaseModel):
        value: int = Field(alias="Value")

    return Local


Local = local_class()


class Inputs:
    @bentoml.api
    def several(
        self, first: Amount, text: Louder, page: Page[Amount], times: int = Field(2, alias="Times")
    ) -> Page[Amount]: ...

    @bentoml.api
    def whole(self, amount: Amount, /) -> Amount: ...

    @bentoml.api
    def root(self, tags: Tags, /) -> list[Amount]: ...

    @bentoml.api
    def text(self, text: Louder, /) -> Any: ...

    @bentoml.api
    def local(self, local: Local, /) -> Local: ...  # type: ignore[valid-type]

    @bentoml.api
    def locals(self, local: Local, *args: int, **kwargs: Any) -> list[Local]: ...  # type: ignore[valid-type]


APIS: dict[str, APIMethod[..., Any]] = bentoml.service(Inputs).apis
AMOUNT = {"Cents": 250, "hidden": 1}


def arguments(api: APIMethod[..., Any], given: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the input as BentoML reads it, and the arguments of the call that it makes of it."""
    model: Any = api.input_spec.model_validate(given)
    if getattr(api.input_spec, "__root_input__", False):
        is_bare = not issubclass(api.input_spec, Tags) and hasattr(model, "root")
        return model, (model.root if is_bare else model,), {}
    kwargs = {name: getattr(model, name) for name in api.input_spec.model_fields}
    args = (kwargs.pop("args"),) if "args" in kwargs else ()
    return model, args, kwargs | kwargs.pop("kwargs", {})


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("several", {"first": AMOUNT, "text": "a", "page": {"items": [AMOUNT]}, "Times": 1}),
        ("several", {"first": AMOUNT, "text": "a", "page": {"items": []}}),
        ("whole", AMOUNT),
        ("root", {"root": 1}),
        ("root", {}),
        ("text", "a"),
        ("local", {"Value": 1}),
        ("locals", {"local": {"Value": 1}, "args": [1], "kwargs": {"a": 2}}),
    ],
)
def test_an_input_arrives_as_bentoml_has_read_it(name: str, given: Any) -> None:
    api = APIS[name]
    expected, args, kwargs = arguments(api, given)
    body = call_body(api.input_spec, args, kwargs)
    arrived = CallSerde().deserialize_model(Payload((body,)), api.input_spec)
    assert type(arrived) is api.input_spec
    assert dict(arrived) == dict(expected)


def sent(api: APIMethod[..., Any], answer: Any) -> Any:
    """Return an answer as it arrives, made a model as BentoML does."""
    spec: Any = api.output_spec
    model = answer if isinstance(answer, BaseModel) else spec(answer)
    payload = CallSerde().serialize_model(model)
    return answer_of(spec, b"".join(bytes(each) for each in payload.data))


def test_an_answer_arrives_as_the_model_returned_it() -> None:
    amount = Amount.model_validate(AMOUNT)
    assert sent(APIS["whole"], amount) == amount
    assert sent(APIS["several"], Page[Amount](items=[amount])) == Page[Amount](items=[amount])
    assert sent(APIS["root"], [amount]) == [amount]
    assert sent(APIS["text"], {"any": amount}) == {"any": amount}
    local: Any = Local.model_validate({"Value": 1})
    assert sent(APIS["local"], local).value == 1
    assert [each.value for each in sent(APIS["locals"], [local])] == [1]


def test_an_answer_that_is_no_model_fails_as_in_bentomls_own_encoding() -> None:
    with pytest.raises(AttributeError, match="'dict' object has no attribute 'model_dump'"):
        CallSerde().serialize_model({"Cents": 1})


def test_an_input_that_is_returned_is_of_the_class_in_the_annotation() -> None:
    model, _, _ = arguments(APIS["whole"], AMOUNT)
    back = pickle.loads(pickled(model))  # noqa: S301 - our own
    assert type(back) is Amount
    assert dict(back) == dict(model)


def test_images_of_a_whole_body_arrive_as_they_were() -> None:
    class Uploading:
        @bentoml.api
        def upload(self, upload: Upload, /) -> str: ...

    spec = bentoml.service(Uploading).apis["upload"].input_spec
    written = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), each) for each in ("red", "blue")]
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:])
    model = spec.model_validate({"image": Image.open(written), "Title": "a"})
    body = call_body(spec, (model,), {})
    arrived: Any = CallSerde().deserialize_model(Payload((body,)), spec)
    assert (arrived.image.format, arrived.image.n_frames, arrived.title) == ("GIF", 2, "a")
