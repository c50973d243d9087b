"""The shadow flag is evaluated once in half a second, unless it samples."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails

from flags.pairing.assignment import SHADOW_CACHE_SECONDS, FlagAssignment
from flags.unleash.provider import FlagFile, UnleashProvider
from tests.support.fakes import FakeClock
from tests.support.flags_file import FlagsOnDisk, flag, gradual

DOMAIN = "shadow-switch-tests"


class CountingProvider(UnleashProvider):
    """The real provider, counting how often it is asked for each flag."""

    def __init__(self, source: FlagFile) -> None:
        super().__init__(source)
        self.asked: Counter[str] = Counter()

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        self.asked[flag_key] += 1
        return super().resolve_boolean_details(flag_key, default_value, evaluation_context)


@pytest.fixture(autouse=True)
def _no_provider_left() -> Iterator[None]:
    yield
    api.clear_providers()


def started(on_disk: FlagsOnDisk, *features: dict[str, Any]) -> CountingProvider:
    on_disk.write(gradual("10"), *features)
    provider = CountingProvider(FlagFile(on_disk.path))
    api.set_provider_and_wait(provider, domain=DOMAIN)
    return provider


SHADOW = "flag.shadow"


@pytest.mark.parametrize(
    ("features", "shadow"),
    [
        ([gradual("100", SHADOW)], True),
        ([gradual("0", SHADOW)], False),
        ([gradual("100", SHADOW, enabled=False)], False),
        ([flag(None, SHADOW)], True),
        ([], True),
    ],
    ids=["on", "at 0 %", "off", "without a strategy", "missing"],
)
def test_a_switch_that_says_the_same_to_everybody_is_asked_once_in_a_while(
    flags_file: FlagsOnDisk, clock: FakeClock, features: list[dict[str, Any]], shadow: bool
) -> None:
    provider = started(flags_file, *features)
    assign = FlagAssignment("flag", DOMAIN, clock=clock)
    assert {assign(f"r{number}").shadow for number in range(50)} == {shadow}
    assert provider.asked == {"flag": 50, SHADOW: 1}
    clock.advance(SHADOW_CACHE_SECONDS)
    assign("r50")
    assert provider.asked == {"flag": 51, SHADOW: 2}


CONSTRAINT = {"contextName": "userId", "operator": "IN", "values": ["u1"]}


@pytest.mark.parametrize(
    "feature",
    [
        gradual("50", SHADOW),
        gradual("100", SHADOW, stickiness="userId"),
        flag({"name": "default", "constraints": [CONSTRAINT]}, SHADOW),
        gradual("100", SHADOW, dependencies=[{"feature": "flag", "enabled": True}]),
    ],
    ids=["samples", "sticky on what may be missing", "constrained", "depends on another flag"],
)
def test_a_switch_that_tells_requests_apart_is_asked_for_each(
    flags_file: FlagsOnDisk, clock: FakeClock, feature: dict[str, Any]
) -> None:
    provider = started(flags_file, feature)
    assign = FlagAssignment("flag", DOMAIN, clock=clock)
    users = ({"userId": "u1"}, {})
    scored = {assign(f"r{number}", users[number % 2]).shadow for number in range(50)}
    assert scored == {True, False}
    assert provider.asked[SHADOW] == 50


def test_a_switch_that_is_thrown_takes_effect_when_the_kept_answer_is_over(
    flags_file: FlagsOnDisk, clock: FakeClock
) -> None:
    started(flags_file, gradual("100", SHADOW))
    assign = FlagAssignment("flag", DOMAIN, clock=clock)
    assert assign("r1").shadow
    api.clear_providers()
    started(flags_file, gradual("100", SHADOW, enabled=False))
    assert assign("r1").shadow
    clock.advance(SHADOW_CACHE_SECONDS)
    assert not assign("r1").shadow
