"""The methods that may score many inputs of an API in one call, by placement."""

from collections.abc import Iterator
from typing import Any

import bentoml
import pytest

from flags import Remote, migrate
from flags.errors import MigrationError


@bentoml.service
class One:
    @bentoml.api
    def judge(self, amount: float) -> float:
        return amount

    @bentoml.api
    def words(self, text: str) -> Iterator[str]:
        yield text

    @bentoml.api(batchable=True)
    def halve(self, amounts: list[float]) -> list[float]:
        return amounts


@bentoml.service
class Two(One.inner):  # type: ignore[misc]
    @bentoml.api
    def judge_many(self, amounts: list[float]) -> list[float]:
        return amounts

    @bentoml.api
    def judge_by(self, amounts: list[float], country: str) -> list[float]:
        return amounts

    @bentoml.api
    def judge_seen(self, amounts: list[float], ctx: bentoml.Context) -> list[float]:
        return amounts

    def judge_plain(self, amounts: list[float]) -> list[float]:
        return amounts

    no_method = 1


def migrated(named: dict[str, str], candidate: Any = Two, **options: Any) -> Any:
    return migrate(One, candidate, flag="v2", shadow_batch=named, **options)


REMOTE = {"candidate": Remote("http://far.invalid:3000")}


@pytest.mark.parametrize(
    ("named", "options"),
    [
        ({"judge": "judge_plain"}, {"placement": "embedded"}),
        ({"judge": "judge_plain"}, {"placement": "isolated"}),
        ({"judge": "judge_many", "halve": "halve"}, {"placement": "runners"}),
        ({"judge": "whatever_it_has", "halve": "halve"}, REMOTE),
    ],
)
def test_a_method_is_taken_where_it_can_be_reached(named: Any, options: Any) -> None:
    assert migrated(named, **options).apis


@pytest.mark.parametrize(
    ("named", "options", "words"),
    [
        ({"none": "judge_many"}, {}, r"names \['none'\], but the services have"),
        ({"judge": "absent"}, {}, "is not a method"),
        ({"judge": "no_method"}, {}, "is not a method"),
        ({"judge": "judge"}, {}, "takes one input"),
        ({"judge": "judge_by"}, {}, "must have one parameter"),
        ({"judge": "judge_seen"}, {}, "no context, no stream"),
        ({"words": "judge_many"}, {}, "scored one at a time"),
        ({"judge": "judge_plain"}, {"placement": "runners"}, "is not an API"),
        ({"judge": "judge"}, REMOTE, "which is not batchable"),
    ],
)
def test_what_cannot_take_many_inputs_is_refused_in_words(
    named: Any, options: Any, words: str
) -> None:
    with pytest.raises(MigrationError, match=words):
        migrated(named, **options)
