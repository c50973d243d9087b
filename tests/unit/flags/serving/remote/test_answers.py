"""The values in the answers of another server."""

from typing import Any

import bentoml
import pytest

from flags.serving.remote.answers import value_of


class Answers:
    @bentoml.api
    def any(self) -> Any: ...

    @bentoml.api
    def either(self) -> int | str: ...

    @bentoml.api
    def number(self) -> float: ...


SPECS = {name: api.output_spec for name, api in bentoml.service(Answers).apis.items()}


@pytest.mark.parametrize(
    ("name", "body", "value"),
    [
        ("any", b"spam", "spam"),
        ("any", b'"quoted"', '"quoted"'),
        ("any", b'{"a": 1}', {"a": 1}),
        ("any", b"null", None),
        ("either", b"zero", "zero"),
        ("either", b"3", 3),
        ("number", b"1", 1.0),
    ],
)
def test_a_text_of_an_api_of_any_type_is_read_as_bentoml_sends_it(
    name: str, body: bytes, value: Any
) -> None:
    assert value_of(SPECS[name], body, may_be_text=True) == value


@pytest.mark.parametrize("may_be_text", [True, False])
def test_a_text_in_place_of_a_number_is_an_error(may_be_text: bool) -> None:
    with pytest.raises(ValueError, match=r"valid number|Expecting value"):
        value_of(SPECS["number"], b"<html>", may_be_text=may_be_text)


def test_a_page_of_another_type_is_no_answer_of_an_api_of_any_type() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        value_of(SPECS["any"], b"<html>")
