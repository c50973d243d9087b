"""Whatever Unleash accepts into a flag and its event log can be read, or is an AdminError."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flags.unleash.admin import FlagEvent, FlagState
from flags.unleash.admin.api import AdminApi
from flags.unleash.admin.errors import AdminError

DEEP = "[" * 990 + "]" * 990
TEXTS = st.sampled_from(["", "5", "0" * 4_999 + "5", "9" * 5_000, "\ud800", "\x1b[2J", "json"])
VALUES = st.recursive(
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([DEEP, '{"a": ' * 5_000, "1" * 5_000, '{"a": NaN}', r'{"a": "\ud800"}']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "parameters", "rollout", "variants", "payload", "value"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
STRATEGY = st.fixed_dictionaries(
    {"id": st.just("1"), "name": st.just("flexibleRollout")},
    optional={
        "parameters": st.fixed_dictionaries({}, optional={"rollout": VALUES, "groupId": VALUES})
        | VALUES,
        "variants": VALUES
        | st.lists(
            st.fixed_dictionaries(
                {"payload": st.fixed_dictionaries({"type": st.just("json"), "value": VALUES})}
            ),
            max_size=2,
        ),
        "constraints": VALUES,
        "segments": VALUES,
        "sortOrder": VALUES,
        "disabled": VALUES,
    },
)


def read(parse: Any) -> None:
    """Read as the Admin API's client does: a misfit is an AdminError, nothing else is raised."""
    with contextlib.suppress(AdminError):
        AdminApi("http://127.0.0.1:9", "token", 1.0).read(parse)


@given(STRATEGY, VALUES)
@settings(max_examples=50, deadline=None)
def test_a_strategy_is_read_whatever_is_in_it(strategy: dict[str, Any], value: Any) -> None:
    here = {"name": "development", "enabled": True, "strategies": [strategy]}
    feature = {"name": "flag", "type": value, "environments": [here], "archived": value}
    state = FlagState.parse(feature, "development", "http://unleash")
    assert state is not None
    assert state.enabled
    assert len(state.strategies) == 1
    json.dumps(state.payload)


@given(VALUES, VALUES, STRATEGY)
@settings(max_examples=50, deadline=None)
def test_an_event_is_read_whatever_is_in_it(
    before: Any, environment: Any, after: dict[str, Any]
) -> None:
    event = {
        "id": 1,
        "createdAt": "2026-01-02T03:04:05.678Z",
        "createdBy": environment,
        "type": "feature-strategy-update",
        "environment": environment,
        "preData": before,
        "data": after,
    }
    assert FlagEvent.parse(event).in_words


@given(VALUES)
@settings(max_examples=50, deadline=None)
def test_whatever_else_is_answered_is_read_or_an_admin_error(value: Any) -> None:
    read(lambda: FlagEvent.parse(value))
    read(lambda: FlagState.parse(value, "development", "http://unleash"))
