from dataclasses import replace
from datetime import timedelta

import pytest

from flags.gate.checks.text import TextEvidence, checks
from flags.gate.error_rate import error_share
from flags.gate.evidence import Count, Paired, PreferenceEvidence, UnitPreference, UnitShare
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook, Step
from tests.support.evidence import FLAG, evidence

PLAYBOOK = Playbook(flag=FLAG)


def shares(**counts: int) -> dict[str, tuple[UnitShare, ...]]:
    """Return differences of the sides: `more` of the candidate, `less`, or the `same`."""
    values = {"less": -1.0, "same": 0.0, "more": 1.0}
    return in_each_way(*(UnitShare(values[name], n) for name, n in counts.items()))


def in_each_way(*shares: UnitShare) -> dict[str, tuple[UnitShare, ...]]:
    """Return equal levels by request and by block: each request is a unit."""
    return {"request": shares, "block": shares}


def texts(
    length: float = 0.0, refusals: dict[str, tuple[UnitShare, ...]] | None = None, n: int = 5_000
) -> TextEvidence:
    levels = {"length": in_each_way(UnitShare(length, n))}
    if refusals is not None:
        levels["rule_refusal"] = refusals
    return TextEvidence(
        kind="text",
        name="answer",
        paired=n,
        labelled=0,
        units=0,
        exact_match=Count(0, n),
        normalised_match=Count(0, n),
        characters={"primary": 100.0, "candidate": 100.0},
        rules={} if refusals is None else {"refusal": Paired(0, 0, 0, n)},
        levels=levels,
    )


def found(
    text: TextEvidence,
    rollout: int = 5,
    held: timedelta = timedelta(days=14),
    preferences: tuple[PreferenceEvidence, ...] = (),
    playbook: Playbook = PLAYBOOK,
) -> dict[str, Check]:
    taken = replace(evidence(rollout=rollout, held=held), answers=(text,), preferences=preferences)
    step: Step = playbook.steps_at(rollout)[0]
    return {each.subject or each.name: each for each in checks(text, taken, playbook, step)}


def judged(wins: int, losses: int) -> PreferenceEvidence:
    units = (UnitPreference(0.0, 0.0, losses), UnitPreference(1.0, 1.0, wins))
    return PreferenceEvidence("answer", units, wins + losses, 0, (), Count(0, 0), ())


def test_as_many_refusals_pass_and_many_more_fail() -> None:
    assert found(texts(refusals=shares(same=5_000)))["refusal"].outcome is Outcome.PASS
    failed = found(texts(refusals=shares(same=4_000, more=1_000)))["refusal"]
    assert (failed.outcome, failed.rolls_back) == (Outcome.FAIL, True)


def test_more_refusals_roll_back_from_a_day_on_and_many_more_at_once() -> None:
    some = texts(refusals=shares(same=4_000, more=1_000))
    many = texts(refusals=shares(same=2_000, more=3_000))
    hour = timedelta(hours=1)

    assert found(some, held=hour)["refusal"].outcome is Outcome.INCONCLUSIVE
    assert found(some)["refusal"].outcome is Outcome.FAIL
    assert found(many, held=hour)["refusal"].outcome is Outcome.FAIL


def test_fewer_refusals_are_not_a_fault() -> None:
    assert found(texts(refusals=shares(same=4_000, less=1_000)))["refusal"].outcome is Outcome.PASS


def test_longer_texts_hold_until_preferences_show_that_they_are_as_good() -> None:
    longer = texts(length=0.5)

    assert found(longer)["text_length"].outcome is Outcome.FAIL
    assert not found(longer)["text_length"].rolls_back
    shown = found(longer, preferences=(judged(600, 400),))["text_length"]
    assert (shown.outcome, shown.required) == (Outcome.INCONCLUSIVE, False)
    assert found(longer, preferences=(judged(10, 10),))["text_length"].outcome is Outcome.FAIL


def test_preferences_are_demanded_where_labels_are() -> None:
    assert "win_rate" not in found(texts(), rollout=5)
    missing = found(texts(), rollout=10)["win_rate"]
    assert (missing.outcome, missing.required) == (Outcome.INCONCLUSIVE, True)
    assert "win_rate" not in found(texts(), rollout=10, preferences=(judged(10, 10),))


@pytest.mark.parametrize("has_rule", [True, False])
def test_without_labels_a_rule_must_speak_for_the_texts(has_rule: bool) -> None:
    plan = Playbook.model_validate({"flag": FLAG, "labels": "none"})
    text = texts(refusals=shares(same=5_000) if has_rule else None)

    assert ("win_rate" in found(text, rollout=10, playbook=plan)) is not has_rule


def test_rules_share_what_alarms_would_have_spent() -> None:
    assert error_share(0.05, "text_rule", 4) == error_share(0.05, "alarm_ratio", 4)
