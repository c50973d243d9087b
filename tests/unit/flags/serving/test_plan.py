"""Services that cannot be migrated or read are refused at import, with an explanation."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Any

import bentoml
import pytest
from pydantic import BaseModel

from flags.errors import MigrationError, ReadingError
from flags.pairing.reading import Reading
from flags.serving.api_contract import shared_apis
from flags.serving.plan import PlannedApi, planned_apis


class Token(BaseModel):
    score: float


async def texts(self: Any) -> AsyncGenerator[str, None]:
    yield "a"


async def tokens(self: Any) -> AsyncGenerator[Token, None]:
    yield Token(score=1)


def in_thread(self: Any) -> Iterator[str]:
    yield "a"


def handed_on(self: Any) -> Iterator[str]:
    return iter("abc")


async def handed_on_async(self: Any) -> AsyncGenerator[str, None]:
    return texts(self)


def answered(self: Any) -> Token:
    return Token(score=1)


def planned(
    function: Callable[..., Any],
    reading: Reading,
    apis: Mapping[str, Reading | None] | None = None,
) -> dict[str, PlannedApi]:
    """Plan a migration between two services whose API `/say` is `function`."""
    primary, candidate = (
        bentoml.service(name=name)(type(name, (), {"say": bentoml.api(function, route="/say")}))
        for name in ("V1", "V2")
    )
    name = function.__name__
    return planned_apis(
        {name: shared_apis(primary, candidate)["say"]}, reading, apis if apis is not None else {}
    )


@pytest.mark.parametrize("function", [texts, tokens, in_thread])
@pytest.mark.parametrize(
    "reading",
    [
        Reading.nothing(),
        Reading.of(len),
        Reading.of("0.score"),
        Reading.of("-1.score", "-1.threshold"),
        Reading.of({"a": len}, {"a": 0.5}, segments=["country"]),
    ],
)
def test_a_stream_is_read_as_a_whole(function: Callable[..., Any], reading: Reading) -> None:
    (plan,) = planned(function, reading).values()
    assert plan.reading is reading
    assert not plan.is_tuned  # what has left cannot be decided anew


@pytest.mark.parametrize("function", [texts, tokens])
@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Reading.of("score"), "score 'score' is not in an answer of /say, which is a stream"),
        (Reading.of({"a": "b.score"}), "'b.score'"),
        (Reading.of(len, "limit"), "threshold 'limit'"),
    ],
)
def test_a_path_into_an_item_is_refused_with_what_to_do_about_it(
    function: Callable[..., Any], reading: Reading, words: str
) -> None:
    with pytest.raises(ReadingError) as raised:
        planned(function, reading)
    assert words in str(raised.value)
    assert "'-1.score', or none by apis={...}" in str(raised.value)
    assert planned(function, reading, {function.__name__: None})  # as it says


@pytest.mark.parametrize("function", [handed_on, handed_on_async])
def test_a_stream_that_comes_from_elsewhere_is_refused(function: Callable[..., Any]) -> None:
    """BentoML would stream the answer, which this plugin could know only after the call."""
    with pytest.raises(MigrationError, match="API /say returns a stream without being a generator"):
        planned(function, Reading.nothing())


def test_an_answer_is_read_as_before() -> None:
    (plan,) = planned(answered, Reading.of("score")).values()
    assert plan.is_tuned
    with pytest.raises(ReadingError, match="score 'absent' is not in an answer of /say"):
        planned(answered, Reading.of("absent"))
