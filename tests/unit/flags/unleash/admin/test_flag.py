import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.unleash.admin import FlagEvent, FlagState, UnleashAdmin
from flags.unleash.admin.errors import (
    FlagKeyError,
    PayloadError,
    RolloutRangeError,
    TagError,
    TokenRefusedError,
    UnleashUnreachableError,
)
from flags.unleash.admin.strategy import checked_percent, read_rollout, variant

TOKEN = "*:*.a-secret-that-must-not-be-seen"  # noqa: S105 - made up


def feature(*strategies: dict, enabled: bool = True) -> dict:
    development = {"name": "development", "enabled": enabled, "strategies": list(strategies)}
    return {"name": "f", "type": "release", "archived": False, "environments": [development]}


def strategy(order: int = 0, **parameters: str) -> dict:
    return {
        "id": f"s{order}",
        "name": "flexibleRollout",
        "sortOrder": order,
        "parameters": {"rollout": "25", "stickiness": "requestId", "groupId": "f"} | parameters,
    }


def state_of(*strategies: dict) -> FlagState:
    state = FlagState.parse(feature(*strategies), "development", "http://u/f")
    assert state is not None
    return state


@given(st.integers(0, 100))
def test_every_rollout_that_is_written_is_read_back(percent: int) -> None:
    assert read_rollout(str(checked_percent(percent))) == percent


@pytest.mark.parametrize("text", ["150", "-1", "2.5", "", "abc", None, 25, "٣"])
def test_a_stored_rollout_that_unleash_cannot_use_reads_as_none(text: object) -> None:
    assert read_rollout(text) is None


@pytest.mark.parametrize("percent", [-1, 101, 2.5, "25", True, None])
def test_a_rollout_that_is_not_a_whole_number_from_0_to_100_is_refused(percent: object) -> None:
    with pytest.raises(RolloutRangeError, match="whole number from 0 to 100"):
        checked_percent(percent)  # type: ignore[arg-type]


def test_the_single_gradual_rollout_is_the_one_that_counts() -> None:
    state = state_of(strategy())
    assert (state.rollout, state.stickiness, state.group_id) == (25, "requestId", "f")


def test_two_rollouts_have_no_rollout_because_either_may_switch_on() -> None:
    state = state_of(strategy(order=1, rollout="50"), strategy(order=0, rollout="10"))
    assert state.rollout is None
    assert [each.rollout for each in state.strategies] == [10, 50]


def test_a_rollout_out_of_range_keeps_its_text_for_the_message() -> None:
    state = state_of(strategy(rollout="150"))
    assert state.rollout is None
    assert state.strategies[0].rollout_text == "150"


def test_an_environment_that_the_flag_has_not_gives_no_state() -> None:
    assert FlagState.parse(feature(), "staging", "http://u/f") is None


def test_the_payload_is_read_from_the_variant_and_a_broken_one_is_none() -> None:
    good = strategy() | {"variants": [variant({"threshold": 0.93}, "requestId")]}
    broken = strategy() | {"variants": [{"name": "v", "payload": {"type": "json", "value": "{"}}]}
    assert state_of(good).payload == {"threshold": 0.93}
    assert state_of(good).variants == ("candidate",)
    assert state_of(broken).payload is None


@pytest.mark.parametrize("payload", [{"threshold": math.nan}, {"threshold": object()}])
def test_a_payload_that_is_not_json_is_refused(payload: dict) -> None:
    with pytest.raises(PayloadError, match="cannot be written as JSON"):
        variant(payload, "requestId")


def test_an_event_without_data_says_only_what_it_knows() -> None:
    event = FlagEvent.parse(
        {
            "id": 3,
            "type": "feature-environment-disabled",
            "createdBy": "ann",
            "createdByUserId": 7,
            "createdAt": "2026-11-23T07:21:47.714Z",
            "environment": "development",
            "data": None,
            "preData": None,
        }
    )
    assert (event.enabled, event.rollout_before, event.rollout_after) == (False, None, None)
    assert (event.by, event.by_token) == ("ann", False)
    assert event.time.utcoffset() is not None


def test_the_token_is_in_no_repr() -> None:
    with UnleashAdmin("http://127.0.0.1:1/api/", TOKEN, "development") as admin:
        assert TOKEN not in repr(admin)
        assert TOKEN not in repr(vars(admin))
        assert admin.url == "http://127.0.0.1:1"


def test_a_password_in_the_address_is_not_shown() -> None:
    with UnleashAdmin("http://ada:hunter2@127.0.0.1:1/api", TOKEN, "development") as admin:
        assert admin.flag_url("a") == "http://127.0.0.1:1/projects/default/features/a"
        with pytest.raises(UnleashUnreachableError, match="no Unleash answers at http://127") as no:
            admin.state("a")
        assert "hunter2" not in f"{no.value} {admin!r}"
    with pytest.raises(UnleashUnreachableError) as no:
        UnleashAdmin("ada:hunter2@unleash", TOKEN, "development")
    assert "hunter2" not in str(no.value)


@pytest.mark.parametrize("token", ["", "   ", f"{TOKEN}\nX-Evil: 1", f"{TOKEN}é"])
def test_a_token_that_no_header_can_hold_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(TokenRefusedError) as refusal:
        UnleashAdmin("http://127.0.0.1:1", token, "development")
    assert "a-secret" not in str(refusal.value)


def test_a_token_read_from_a_file_may_end_with_a_line_break() -> None:
    UnleashAdmin("http://127.0.0.1:1", f"{TOKEN}\n", "development").close()


def test_an_address_without_scheme_is_said_at_once() -> None:
    with pytest.raises(UnleashUnreachableError, match="not an http or https URL"):
        UnleashAdmin("localhost:4242", TOKEN, "development")


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "a b", "a?b", "a#b", "a%2e"])
def test_a_key_that_would_leave_its_place_in_the_path_is_refused(key: str) -> None:
    with (
        UnleashAdmin("http://127.0.0.1:1", TOKEN, "development") as admin,
        pytest.raises(FlagKeyError),
    ):
        admin.turn_off(key)


@pytest.mark.parametrize("value", ["x", "x" * 51])
def test_a_tag_that_unleash_cannot_store_is_refused(value: str) -> None:
    with (
        UnleashAdmin("http://127.0.0.1:1", TOKEN, "development") as admin,
        pytest.raises(TagError, match="2 to 50 characters"),
    ):
        admin.tag("f", value)
