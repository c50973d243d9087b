"""What a flag source holds is judged as Unleash's engine evaluates it, not as it reads."""

import contextlib
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yggdrasil_engine.engine import UnleashEngine

from flags.errors import FlagDocumentError
from flags.unleash.definition import FlagDefinition, stickiness_warning
from flags.unleash.document import FlagDocument
from tests.support.flags_file import document, flag, gradual


def parsed(*features: dict[str, Any], **others: Any) -> FlagDocument:
    return FlagDocument.parse(document(*features, **others), "the flags")


def only(feature: dict[str, Any]) -> FlagDefinition:
    (definition,) = parsed(feature).flags.values()
    return definition


def share_of_ids(feature: dict[str, Any], ids: int = 500) -> float:
    """Return the rollout of request ids for which the engine says on."""
    engine = UnleashEngine()
    engine.take_state(document(feature))
    contexts = ({"properties": {"requestId": f"request-{index}"}} for index in range(ids))
    enabled = [engine.is_enabled(feature["name"], each).is_enabled for each in contexts]
    return 100 * enabled.count(True) / ids


def test_a_gradual_rollout_is_known_in_full() -> None:
    definition = only(gradual("25"))
    assert (definition.name, definition.enabled, definition.rollout) == ("flag", True, 25.0)
    assert (definition.stickiness, definition.group_id) == ("requestId", "flag")
    assert not definition.constrained
    assert definition.warnings == ()


ROLLOUTS = st.one_of(
    st.integers(-5, 200).map(str),
    st.floats(0, 100).map(str),
    st.text("0123456789+-. e٣", max_size=4),
    st.sampled_from(["", "abc", "1e1", "+7", "007", "99999999999", " 5", "5 "]),
)


@given(ROLLOUTS)
@settings(max_examples=80, deadline=None)
def test_the_rollout_is_what_the_engine_makes_of_it(rollout: str) -> None:
    """Within sampling: 500 ids; what the engine takes for 0 or for 100 it must be exactly."""
    definition = only(gradual(rollout))
    share = share_of_ids(gradual(rollout))
    assert definition.rollout is not None
    if definition.rollout in (0, 100):
        assert share == definition.rollout
    else:
        assert share == pytest.approx(definition.rollout, abs=8)
    meant = definition.rollout > 0 or re.fullmatch(r"\+?0+", rollout)
    assert bool(definition.warnings) is not bool(meant)


@pytest.mark.parametrize("rollout", ["150", "-1", "12.5", "100.0", "abc", " 25"])
def test_a_rollout_that_the_engine_takes_for_zero_is_warned_of(rollout: str) -> None:
    (warning,) = only(gradual(rollout)).warnings
    assert warning == (
        f"rollout is {rollout!r}, not a whole number from 0 to 100: the engine evaluates it as 0"
    )


@pytest.mark.parametrize(
    ("strategy", "rollout"),
    [
        (None, 100.0),
        ({"name": "default"}, 100.0),
        ({"name": "default", "disabled": True}, 100.0),
        ({"name": "flexibleRollout", "parameters": {}}, 0.0),
        ({"name": "flexibleRollout"}, 0.0),
        ({"name": "disabled"}, None),
        ({"name": "userWithId", "parameters": {"userIds": "u1"}}, None),
    ],
)
def test_the_rollout_of_other_strategies_is_the_engine_s_or_unknown(
    strategy: dict[str, Any] | None, rollout: float | None
) -> None:
    definition = only(flag(strategy))
    assert definition.rollout == rollout
    if rollout is None:
        assert definition.constrained
    else:
        assert share_of_ids(flag(strategy)) == rollout


def test_several_strategies_make_the_rollout_unknown() -> None:
    two = gradual("25") | {"strategies": gradual("25")["strategies"] + [{"name": "default"}]}
    assert (only(two).rollout, only(two).constrained) == (None, True)


def variant(name: str, value: str | None = None) -> dict[str, Any]:
    payload = {} if value is None else {"payload": {"type": "json", "value": value}}
    return {"name": name, "weight": 1000, "stickiness": "default", **payload}


@pytest.mark.parametrize(
    ("of_the_strategy", "of_the_flag", "payload"),
    [
        ([], [], None),
        ([variant("a", "1")], [], "1"),
        ([], [variant("a", "1")], "1"),
        ([variant("a", "1")], [variant("b", "2")], "1"),  # the strategy's go first
        ([variant("a", "1"), variant("b", "2")], [], None),  # which one depends on the request
        ([variant("a")], [], None),
    ],
)
def test_the_payload_of_the_only_variant_is_known(
    of_the_strategy: list[Any], of_the_flag: list[Any], payload: str | None
) -> None:
    feature = gradual("25", variants=of_the_flag)
    feature["strategies"][0]["variants"] = of_the_strategy
    definition = only(feature)
    assert definition.payload == payload
    assert definition.varied is bool(of_the_strategy or of_the_flag)


def test_a_flag_that_depends_on_another_is_constrained() -> None:
    for feature in (gradual("25"), flag()):
        assert not only(feature).constrained
        assert only(feature | {"dependencies": [{"feature": "parent"}]}).constrained


def test_constraints_and_segments_make_a_flag_constrained() -> None:
    constraint = {"contextName": "country", "operator": "IN", "values": ["FR"]}
    for part in ({"constraints": [constraint]}, {"segments": [1]}):
        feature = gradual("25")
        feature["strategies"][0] |= part
        assert only(feature).constrained
        assert only(feature).rollout == 25


def test_the_content_differs_if_anything_in_the_flag_differs() -> None:
    contents = {
        only(each).content
        for each in (
            gradual("25"),
            gradual("26"),
            gradual("25", enabled=False),
            gradual("25", description="new"),
            gradual("25", stickiness="userId"),
        )
    }
    assert len(contents) == 5


def test_no_flags_are_a_good_document() -> None:
    assert parsed().flags == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the flags is not JSON"),
        ("{", "the flags is not JSON"),
        ("<html></html>", "the flags is not JSON"),
        ("[" * 100_000, "the flags is not JSON"),
        ("[]", "is not a list of flags: it must be an object with the array `features`"),
        ("null", "is not a list of flags"),
        ("{}", "is not a list of flags"),
        ('{"features": {}}', "is not a list of flags"),
    ],
)  # fmt: skip
def test_a_malformed_document_is_an_error_that_names_the_place(text: str, words: str) -> None:
    with pytest.raises(FlagDocumentError, match=words):
        FlagDocument.parse(text, "the flags")


BAD = {
    "an array": [],
    "a text": "flag",
    "no name": {"enabled": True, "strategies": []},
    "a name that is a number": {"name": 5, "enabled": True, "strategies": []},
    "half a character in the name": flag(None, "\ud800"),
    "half a character somewhere": flag(None, "bad", description="\udfff"),
    "NUL in the name": flag(None, "good\0"),
    "no enabled": {"name": "bad", "strategies": []},
    "enabled as a text": flag(None, "bad") | {"enabled": "yes"},
    "no strategies": {"name": "bad", "enabled": True},
    "strategies as null": flag(None, "bad") | {"strategies": None},
    "a strategy as a text": flag(None, "bad") | {"strategies": ["default"]},
    "a strategy without name": flag({}, "bad"),
    "a strategy whose name is a number": flag({"name": 5}, "bad"),
    "parameters as a number": flag({"name": "flexibleRollout", "parameters": 5}, "bad"),
    "rollout as a number": gradual(25, "bad"),
    "type": flag(None, "bad") | {"type": 5},
    "variants": flag(None, "bad", variants=5),
    "constraints": flag({"name": "default", "constraints": 5}, "bad"),
    "NaN": flag(None, "bad", x=math.nan),
    "an infinite number": flag(None, "bad", x=math.inf),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_flag_is_left_out_and_named_and_the_others_count(kind: str) -> None:
    """The engine would refuse all: a rollback would seem done, and would not be."""
    for features in ([gradual("5", "good"), BAD[kind]], [BAD[kind], gradual("5", "good")]):
        found = parsed(*features)
        assert list(found.flags) == ["good"]
        assert found.flags["good"].rollout == 5
        assert len(found.left_out) == 1
        assert [each.name for each in found.engine.list_known_toggles()] == ["good"]
        found.engine.is_enabled("good", {})


@pytest.mark.parametrize("value", ["[" * 5_000 + "]" * 5_000, "1" * 5_000, "[" * 130 + "]" * 130])
def test_a_flag_that_no_parser_takes_is_left_out(value: str) -> None:
    text = document(flag(None, "bad", x="HERE"), gradual("5", "good")).replace('"HERE"', value)
    found = FlagDocument.parse(text, "the flags")
    assert (list(found.flags), list(found.left_out)) == (["good"], ["bad"])


MANY = [{"contextName": "userId", "operator": "IN", "values": ["1"]}] * 200_000


@pytest.mark.parametrize(
    ("strategies", "segment"),
    [
        ([{"name": "default"}] * 200_000, []),
        ([{"name": "default", "constraints": MANY}], []),
        ([{"name": "default", "segments": [1] * 200_000}], MANY[:1]),
    ],
    ids=["strategies", "constraints", "segments"],
)
def test_a_flag_of_more_parts_than_the_engine_can_hold_is_left_out(
    strategies: list[Any], segment: list[Any]
) -> None:
    """The engine overflows its stack, which ends the process."""
    bad = {"name": "bad", "enabled": True, "strategies": strategies}
    segments = [{"id": 1, "constraints": segment}]
    found = parsed(bad, gradual("5", "good"), segments=segments)
    assert (list(found.flags), list(found.left_out)) == (["good"], ["bad"])


def test_a_flag_whose_segment_is_more_than_the_engine_can_hold_is_not_on() -> None:
    bad = flag({"name": "default", "segments": [1]}, "bad")
    found = parsed(bad, gradual("5", "good"), segments=[{"id": 1, "constraints": MANY}])
    assert not found.engine.is_enabled("bad", {"userId": "1"}).is_enabled


@pytest.mark.parametrize(
    "feature",
    [each for each in BAD.values() if isinstance(each, dict) and each.get("name") == "bad"],
)
def test_a_flag_that_is_off_is_off_whatever_else_is_wrong_with_it(feature: dict[str, Any]) -> None:
    found = parsed(feature | {"enabled": False}, gradual("5", "good"))
    assert found.flags["bad"].enabled is False
    assert found.left_out == {}
    assert not found.engine.is_enabled("bad", {}).is_enabled


def test_a_rollout_of_5_000_digits_is_what_the_engine_makes_of_it() -> None:
    for rollout in ("0" * 4_999 + "5", "1" * 5_000):
        definition = only(gradual(rollout))
        assert definition.rollout == pytest.approx(share_of_ids(gradual(rollout)), abs=4)
        assert all(len(each) < 200 for each in definition.warnings)


@pytest.mark.parametrize("segments", [5, None, [5], [{"id": "x"}], [{"id": 1, "constraints": 5}]])
def test_segments_that_are_none_cost_no_flag(segments: Any) -> None:
    good = {"id": 2, "constraints": []}
    all_of_them = [*segments, good] if isinstance(segments, list) else segments
    assert set(parsed(gradual("5"), segments=all_of_them).flags) == {"flag"}


def test_what_is_beside_the_flags_does_not_matter() -> None:
    assert set(parsed(gradual("5"), query=5, meta=[]).flags) == {"flag"}


def test_a_flag_that_has_not_changed_is_not_judged_again() -> None:
    before = parsed(gradual("5"), gradual(5, "bad"))
    text = document(gradual("5"), gradual(5, "bad"), gradual("6", "new"))
    after = FlagDocument.parse(text, "the flags", before)
    assert after.flags["flag"] is before.flags["flag"]
    assert after.left_out == before.left_out
    repaired = FlagDocument.parse(document(gradual("5"), gradual("7", "bad")), "the flags", after)
    assert (repaired.flags["bad"].rollout, repaired.left_out) == (7, {})


KEYS = ["name", "enabled", "strategies", "parameters", "rollout", "variants", "payload", "type"]
KEYS += ["value", "constraints", "segments", "dependencies", "weight", "id"]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["flexibleRollout", "0" * 5_000, "\ud800", "1e400", "default"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
@settings(max_examples=150, deadline=None)
def test_whatever_one_flag_holds_the_others_count(value: Any) -> None:
    good, other = gradual("100", "our own"), gradual("50") | {"x": value}
    for features in ([good, value], [good, gradual("50") | {"strategies": value}], [good, other]):
        found = parsed(*features, segments=value)
        if not (isinstance(value, dict) and value.get("name") == "our own"):
            assert found.flags["our own"].rollout == 100
        assert {each.name for each in found.engine.list_known_toggles()} == set(found.flags)


@given(json_values)
@settings(max_examples=50, deadline=None)
def test_whatever_comes_is_a_document_or_the_error_for_it(value: Any) -> None:
    for content in (value, {"features": value}):
        with contextlib.suppress(FlagDocumentError):
            FlagDocument.parse(json.dumps(content), "the flags")


SENT = frozenset({"requestId", "userId"})


@pytest.mark.parametrize(
    ("stickiness", "words"),
    [
        ("requestId", None),
        ("userId", None),
        ("random", "stickiness is random: the same request id may get either side"),
        ("default", "stickiness is default"),
        ("tenantId", "stickiness is 'tenantId', which is not sent, so the primary answers everyth"),
    ],
)
def test_a_stickiness_that_may_change_sides_or_is_not_sent_is_warned_of(
    stickiness: str, words: str | None
) -> None:
    warning = stickiness_warning(only(gradual("25", stickiness=stickiness)), SENT)
    assert warning is None if words is None else words in str(warning)


@pytest.mark.parametrize("others", [(), ({"name": "userWithId", "parameters": {"userIds": "1"}},)])
@pytest.mark.parametrize(
    "strategy",
    [
        {"name": "gradualRolloutRandom", "parameters": {"percentage": "50"}},
        {"name": "flexibleRollout", "parameters": {"rollout": "5", "stickiness": "random"}},
    ],
)
def test_a_strategy_that_draws_anew_for_each_request_is_warned_of(
    strategy: dict[str, Any], others: tuple[dict[str, Any], ...]
) -> None:
    definition = only({**flag(strategy), "strategies": [strategy, *others]})
    assert "the same request id may get either side" in str(stickiness_warning(definition, SENT))


def test_a_flag_without_a_gradual_rollout_has_no_stickiness_to_warn_of() -> None:
    assert stickiness_warning(only(flag()), SENT) is None


def test_a_rollout_without_stickiness_is_unleash_s_default_one() -> None:
    feature = flag({"name": "flexibleRollout", "parameters": {"rollout": "5"}})
    assert only(feature).stickiness == "default"
