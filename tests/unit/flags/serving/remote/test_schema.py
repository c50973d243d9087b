"""A server with another schema is not called, and the message names the difference."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import bentoml
import pydantic
import pytest
from bentoml import Service

from flags.serving.remote.schema import schema_differences


class Card(pydantic.BaseModel):
    country: str = "FR"
    scheme: Literal["visa"] = "visa"


class Claim(pydantic.BaseModel):
    amount: float
    card: Card = Card()


@bentoml.service
class Ours:
    @bentoml.api
    def judge(self, claim: Claim, /) -> dict[str, float]:
        raise NotImplementedError

    @bentoml.api(route="/by/words")
    async def write(self, prompt: str) -> AsyncGenerator[str, None]:
        yield prompt

    @bentoml.api
    def read(self, file: Path) -> bytes:
        raise NotImplementedError


def document(service: Service[Any] = Ours) -> Any:
    """Return what the server of `service` answers for /schema.json."""
    return json.loads(json.dumps(service.schema()))


def said(changed: Any, prefix: str = "") -> str:
    return "; ".join(schema_differences(Ours.apis.values(), changed, prefix))


def test_the_same_schema_does_not_differ() -> None:
    assert said(document()) == ""


def test_further_apis_and_prose_do_not_matter() -> None:
    changed = document()
    changed["routes"].append({"name": "more", "route": "/more", "input": {}, "output": {}})
    changed["description"] = "something else"
    changed["routes"][0]["input"]["title"] = "Demande"
    changed["routes"][0]["name"] = "another_name"
    assert said(changed) == ""


def test_a_server_below_a_path_may_name_its_routes_with_it_or_without() -> None:
    changed = document()
    assert said(changed, "/v2") == ""
    for route in changed["routes"]:
        route["route"] = "/v2" + route["route"]
    assert said(changed, "/v2") == ""
    assert "no API /judge" in said(changed)


def _rename(routes: Any) -> None:
    routes[0]["route"] = "/assess"


def _other_type(routes: Any) -> None:
    routes[0]["input"]["properties"]["amount"]["type"] = "string"


def _more_required(routes: Any) -> None:
    routes[0]["input"]["required"].append("card")


def _no_stream(routes: Any) -> None:
    del routes[2]["output"]["is_stream"]


def _other_output(routes: Any) -> None:
    routes[1]["output"]["format"] = "text"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_rename, "no API /judge; it has /assess, /by/words, /read"),
        (_other_type, "API /judge: input.amount.type is 'string' instead of 'number'"),
        (_more_required, "API /judge: input.required"),
        (_no_stream, "API /by/words: output is_stream is None instead of True"),
        (_other_output, "API /read: output.format is 'text'"),
    ],
)
def test_a_difference_is_named_with_its_route(change: Any, words: str) -> None:
    changed = document()
    change(changed["routes"])
    assert words in said(changed)


@pytest.mark.parametrize("other", [None, [], {}, {"routes": 1}, {"routes": [1]}, "text"])
def test_what_is_not_a_schema_is_not_a_bentoml_server(other: Any) -> None:
    assert "not a BentoML server" in said(other)


def test_ways_in_which_older_pydantics_write_the_same_are_the_same() -> None:
    """`allOf` around a reference with a default, `enum` beside `const`."""
    changed = document()
    scheme = changed["routes"][0]["input"]["properties"]["card"]["properties"]["scheme"]
    assert scheme["const"] == "visa"
    scheme["enum"] = ["visa"]
    changed["routes"][0]["input"]["additionalProperties"] = True
    assert said(changed) == ""
    scheme["enum"] = ["visa", "amex"]
    assert said(changed) != ""
