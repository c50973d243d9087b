"""Each side has its own input, and an input that cannot be copied is an error, not a raise."""

import datetime
import decimal
import enum
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest

from flags.pairing.call import Call
from flags.pairing.input_copy import copy_call
from tests.support.fakes import Uncopyable


class Channel(enum.Enum):
    WEB = "web"


class Flat(pydantic.BaseModel):
    amount: float = 5.0
    channel: Channel = Channel.WEB


class Nested(pydantic.BaseModel):
    items: list[str] = ["a"]


class Open(pydantic.BaseModel, extra="allow"):
    amount: float = 5.0


class WithPrivate(pydantic.BaseModel):
    amount: float = 5.0
    _seen: list[str] = pydantic.PrivateAttr(default_factory=list)


def copy_of(value: Any) -> Any:
    copied = copy_call(Call((value,), {"name": value}))
    assert isinstance(copied, Call)
    (by_position,), by_name = copied.args, copied.kwargs["name"]
    if by_position is not value:
        assert by_position is not by_name
    return by_position


@pytest.mark.parametrize(
    "value",
    [
        "text", b"bytes", 1, 1.5, 1j, True, None, Channel.WEB, decimal.Decimal(1), uuid.uuid4(),
        datetime.datetime.now(datetime.UTC), datetime.date.today(), datetime.timedelta(1),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_cannot_be_changed_is_shared(value: Any) -> None:
    assert copy_of(value) is value


def test_a_flat_model_can_be_changed_without_the_other_side_seeing_it() -> None:
    given = Flat()
    copied = copy_of(given)
    assert copied == given
    copied.amount = -1
    assert given.amount == 5.0


@pytest.mark.parametrize("given", [Nested(), Open(items=["a"])], ids=["field", "extra"])
def test_a_model_is_copied_to_its_depth(given: Any) -> None:
    copied = copy_of(given)
    assert copied == given
    copied.items.append("b")
    assert given.items == ["a"]


def test_private_attributes_of_a_model_are_copied_as_well() -> None:
    given = WithPrivate()
    copy_of(given)._seen.append("b")
    assert given._seen == []


def test_containers_are_copied_to_their_depth() -> None:
    given = {"rows": [{"tags": {"a"}}]}
    copied = copy_of(given)
    copied["rows"][0]["tags"].add("b")
    assert given == {"rows": [{"tags": {"a"}}]}


def test_arrays_and_frames_are_copied() -> None:
    array, frame = np.zeros(2), pd.DataFrame({"x": [0.0]})
    copy_of(array)[0] = 1
    copied = copy_of(frame)
    copied.loc[0, "x"] = 1
    assert array[0] == frame.loc[0, "x"] == 0


@pytest.mark.parametrize("value", [Uncopyable(), [Uncopyable()], (x for x in "a")])
def test_an_input_that_cannot_be_copied_is_returned_as_the_reason(value: Any) -> None:
    assert isinstance(copy_call(Call((value,))), TypeError)
    assert isinstance(copy_call(Call((), {"x": value})), TypeError)
