"""The flag becomes an assignment; if it cannot be evaluated, the primary answers."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from flags.pairing.assignment import SHADOW_CACHE_SECONDS, Assignment, FlagAssignment, Side
from tests.support.fakes import FakeClock

DOMAIN = "assignment-tests"


@pytest.fixture(autouse=True)
def _no_provider_left() -> Iterator[None]:
    yield
    api.clear_providers()
    api.clear_hooks()


class Saying(AbstractProvider):
    """Gives every flag the same value, and remembers the contexts of evaluations."""

    def __init__(
        self,
        details: FlagResolutionDetails[Any],
        shadow: bool = True,
        shadow_reason: Reason = Reason.STATIC,
    ) -> None:
        super().__init__()
        self._details = details
        self.shadow = FlagResolutionDetails(shadow, reason=shadow_reason)
        self.asked: list[tuple[str, EvaluationContext]] = []

    def get_metadata(self) -> Metadata:
        return Metadata("saying")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        assert evaluation_context is not None
        self.asked.append((flag_key, evaluation_context))
        return self.shadow if flag_key == "flag.shadow" else self._details

    def resolve_string_details(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def resolve_integer_details(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def resolve_float_details(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def resolve_object_details(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


class Raising(Saying):
    def resolve_boolean_details(self, *_: Any, **__: Any) -> FlagResolutionDetails[bool]:
        raise KeyError("a fault of the provider")


def assigned(provider: AbstractProvider, attributes: Mapping[str, str] | None = None) -> Assignment:
    api.set_provider_and_wait(provider, domain=DOMAIN)
    return FlagAssignment("flag", DOMAIN)("r1", attributes or {})


def test_on_makes_the_candidate_active() -> None:
    metadata: dict[str, bool | int | float | str] = {
        "rollout": 10.0,
        "payload": '{"threshold": 0.9}',
    }
    details = FlagResolutionDetails(True, reason=Reason.SPLIT, variant="on", flag_metadata=metadata)
    assert assigned(Saying(details)) == Assignment(
        Side.CANDIDATE,
        flag="flag",
        reason="split",
        variant="on",
        provider="saying",
        rollout=10.0,
        shadow=True,
        payload='{"threshold": 0.9}',
    )


def test_off_makes_the_primary_active() -> None:
    assignment = assigned(Saying(FlagResolutionDetails(False, reason=Reason.DISABLED)))
    assert (assignment.active, assignment.reason) == (Side.PRIMARY, "disabled")
    assert assignment.error is None


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_makes_the_primary_active_even_if_a_value_came_with_it(code: ErrorCode) -> None:
    details = FlagResolutionDetails(True, error_code=code, error_message="why", reason=Reason.ERROR)
    assignment = assigned(Saying(details))
    assert assignment.active is Side.PRIMARY
    assert (assignment.reason, assignment.error) == ("error", code.value.lower())
    assert assignment.error_message == "why"


@pytest.mark.parametrize("value", ["true", 1, None, [True]])
def test_a_value_that_is_not_a_boolean_makes_the_primary_active(value: Any) -> None:
    assignment = assigned(Saying(FlagResolutionDetails(value)))
    assert assignment.active is Side.PRIMARY
    assert assignment.error == "type_mismatch"


def test_a_provider_that_raises_makes_the_primary_active() -> None:
    assignment = assigned(Raising(FlagResolutionDetails(True)))
    assert (assignment.active, assignment.error) == (Side.PRIMARY, "general")


def test_a_client_that_cannot_be_asked_makes_the_primary_active(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.set_provider_and_wait(Saying(FlagResolutionDetails(True)), domain=DOMAIN)
    assign = FlagAssignment("flag", DOMAIN)
    monkeypatch.setattr(Saying, "get_metadata", lambda _: 1 / 0)
    assignment = assign("r1", {})
    assert (assignment.active, assignment.error) == (Side.PRIMARY, "ZeroDivisionError")
    assert "flag flag could not be evaluated: the primary answers" in caplog.text


def test_a_provider_that_is_not_ready_makes_the_primary_active() -> None:
    class Failing(Saying):
        def initialize(self, evaluation_context: EvaluationContext) -> None:
            raise ProviderNotReadyError("the server is down")

        def resolve_boolean_details(self, *_: Any, **__: Any) -> FlagResolutionDetails[bool]:
            return FlagResolutionDetails(True, error_code=ErrorCode.PROVIDER_NOT_READY)

    with pytest.raises(ProviderNotReadyError):
        assigned(Failing(FlagResolutionDetails(True)))
    assignment = FlagAssignment("flag", DOMAIN)("r1", {})
    assert (assignment.active, assignment.error) == (Side.PRIMARY, "provider_not_ready")


def test_without_any_provider_the_primary_is_active_and_the_shadow_is_scored() -> None:
    assignment = FlagAssignment("flag", "a-domain-without-a-provider")("r1", {})
    assert assignment.active is Side.PRIMARY
    assert assignment.shadow is True


def test_the_request_id_is_the_targeting_key_and_attributes_pass_through() -> None:
    provider = Saying(FlagResolutionDetails(False))
    assigned(provider, {"userId": "u1", "tenantId": "t1"})
    assert [name for name, _ in provider.asked] == ["flag", "flag.shadow"]
    for _, context in provider.asked:
        assert context.targeting_key == "r1"
        assert context.attributes == {"userId": "u1", "tenantId": "t1"}


@pytest.mark.parametrize("shadow", [True, False])
def test_the_shadow_flag_switches_the_shadow(shadow: bool) -> None:
    assert assigned(Saying(FlagResolutionDetails(False), shadow)).shadow is shadow


def test_a_missing_shadow_flag_means_that_shadows_are_scored() -> None:
    flags = {"flag": InMemoryFlag("on", {"on": True, "off": False})}
    assignment = assigned(InMemoryProvider(flags))
    assert (assignment.active, assignment.shadow) == (Side.CANDIDATE, True)


@pytest.mark.parametrize("shadow", [True, False])
def test_a_switch_that_is_the_same_for_all_is_asked_once_in_a_while(
    shadow: bool, clock: FakeClock
) -> None:
    """Evaluating it for each request would double the cost of an assignment."""
    reason = Reason.STATIC
    provider = Saying(FlagResolutionDetails(False), shadow, reason)
    api.set_provider_and_wait(provider, domain=DOMAIN)
    assign = FlagAssignment("flag", DOMAIN, clock=clock)
    assert {assign(f"r{index}", {}).shadow for index in range(10)} == {shadow}
    assert [name for name, _ in provider.asked].count("flag.shadow") == 1
    provider.shadow = FlagResolutionDetails(not shadow, reason=reason)
    clock.advance(SHADOW_CACHE_SECONDS + 0.01)
    assert assign("r1", {}).shadow is not shadow


@pytest.mark.parametrize("value", [True, False])
def test_a_switch_that_is_disabled_is_off_whatever_value_comes_with_it(
    value: bool, clock: FakeClock
) -> None:
    """A disabled flag returns the caller's default, which here is meant for a missing flag: on."""
    provider = Saying(FlagResolutionDetails(False), value, Reason.DISABLED)
    api.set_provider_and_wait(provider, domain=DOMAIN)
    assign = FlagAssignment("flag", DOMAIN, clock=clock)
    assert {assign(f"r{index}", {}).shadow for index in range(10)} == {False}
    assert [name for name, _ in provider.asked].count("flag.shadow") == 1


@pytest.mark.parametrize("reason", [Reason.SPLIT, Reason.TARGETING_MATCH, Reason.STALE])
def test_a_switch_that_samples_is_asked_for_each_request(reason: Reason, clock: FakeClock) -> None:
    provider = Saying(FlagResolutionDetails(False), True, reason)
    api.set_provider_and_wait(provider, domain=DOMAIN)
    assign = FlagAssignment("flag", DOMAIN, clock=clock)
    for index in range(10):
        assign(f"r{index}", {})
    assert [name for name, _ in provider.asked].count("flag.shadow") == 10


@pytest.mark.parametrize("rollout", ["50", None])
def test_a_rollout_that_is_not_a_number_is_unknown(rollout: Any) -> None:
    metadata = {} if rollout is None else {"rollout": rollout}
    details = FlagResolutionDetails(True, flag_metadata=metadata)
    assert assigned(Saying(details)).rollout is None


@pytest.mark.parametrize("side", Side)
def test_each_side_knows_the_other(side: Side) -> None:
    assert side.other is not side
    assert side.other.other is side
