"""A pair has the hash of its request's unit; a unit that cannot be read costs no answer."""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from flags.errors import ReadingError
from flags.pairing.assignment import Assignment, Side
from flags.pairing.call import Call
from flags.pairing.observation import InMemoryPairs
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.scorer import Scorer
from flags.pairing.unit import RequestUnits, Units, default_key, unit_hash
from tests.support.fakes import FakeModel, FixedAssignment

KEY = b"a key that is long enough"


def sticky(field: str | None) -> Assignment:
    return Assignment(Side.PRIMARY, "flag", "split", stickiness=field)


def hashed(value: str) -> str:
    return hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()[:16]


def units(
    spec: Any = None,
    *,
    field: str | None = "requestId",
    headers: Mapping[str, str] | None = None,
    inputs: Any = None,
    attributes: Mapping[str, str] | None = None,
) -> RequestUnits:
    found = Units.of(spec, KEY)
    value = found.read_value(headers or {}, inputs)
    return found.hashes(value, sticky(field), attributes or {})


@pytest.mark.parametrize("field", ["requestId", "random", None])
def test_where_the_flag_draws_requests_the_request_is_the_unit(field: str | None) -> None:
    assert units(field=field, attributes={"userId": "ada"}) == RequestUnits(None, None)


def test_what_the_flag_is_sticky_on_is_the_unit() -> None:
    found = units(field="userId", attributes={"userId": "ada", "sessionId": "s"})
    assert found == RequestUnits(hashed("ada"), None)


def test_unleash_s_default_stickiness_is_the_user_else_the_session() -> None:
    both = units(field="default", attributes={"userId": "ada", "sessionId": "s"})
    session = units(field="default", attributes={"sessionId": "s"})
    neither = units(field="default")
    assert [both.unit, session.unit, neither.unit] == [hashed("ada"), hashed("s"), None]


@pytest.mark.parametrize(
    ("spec", "headers", "inputs"),
    [
        ("header:X-Customer", {"X-Customer": "c-1"}, None),
        ("input.customer.id", {}, {"customer": {"id": "c-1"}}),
        (lambda given: given["id"], {}, {"id": "c-1"}),
    ],
)
def test_a_named_unit_goes_before_what_the_flag_is_sticky_on(
    spec: Any, headers: Mapping[str, str], inputs: Any
) -> None:
    found = units(
        spec, field="userId", headers=headers, inputs=inputs, attributes={"userId": "ada"}
    )
    assert found == RequestUnits(hashed("c-1"), hashed("ada"))


def test_a_unit_that_is_what_the_flag_draws_is_recorded_once() -> None:
    found = units(
        "header:X-User-Id",
        field="userId",
        headers={"X-User-Id": "ada"},
        attributes={"userId": "ada"},
    )
    assert found == RequestUnits(hashed("ada"), None)


@pytest.mark.parametrize("spec", ["X-Customer", "header:", "", 7, "input."])
def test_a_unit_that_cannot_be_understood_is_refused(spec: Any) -> None:
    with pytest.raises(ReadingError, match=r"unit is "):
        Units.of(spec, KEY)


def test_the_key_decides_the_hash_and_the_value_is_not_in_it() -> None:
    first, second = unit_hash(default_key("A"), "ada"), unit_hash(default_key("B"), "ada")
    assert first != second
    assert len(first) == 16
    assert "ada" not in first


async def test_a_unit_that_fails_costs_no_answer_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_inputs: Any) -> str:
        raise RuntimeError("the unit's own fault: customer 4711")

    sink = InMemoryPairs()
    reading = Reading.nothing()
    pairing = Pairing(
        Scorer(Side.PRIMARY, FakeModel(score=0.2), reading),
        Scorer(Side.CANDIDATE, FakeModel(score=0.7), reading),
        assign=FixedAssignment(Side.PRIMARY),
        reading=reading,
        sink=sink,
        units=Units.of(broken, KEY),
    )
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            request = Request(f"r{number}", Call((1.0,), {}), Call((1.0,), {}), inputs=1.0)
            assert (await pairing.answer(request)).served is Side.PRIMARY
        await pairing.drain(30)
    assert [pair.unit for pair in sink.pairs] == [None, None, None]
    assert caplog.text.count("the unit of a request could not be read (RuntimeError)") == 1
    assert "4711" not in caplog.text
    pairing.close()
