"""The autopilot, in what happens to it most: good pairs, bad ones, people, a second autopilot."""

import pytest

from flags.operate.autopilot import Autopilot
from flags.operate.current_step import plan_at
from flags.operate.next_action import Action
from flags.playbook.stages import Stage
from flags.unleash.admin import Author
from flags.unleash.admin.errors import FlagChangedError, PersonalTokenError
from tests.support.operation import HOLD, HUMAN, OWN, PLAYBOOK, Scene


def test_with_good_pairs_it_climbs_the_playbook_one_step_a_hold() -> None:
    scene = Scene()
    pilot = scene.pilot()
    seen = []
    for _ in range(12):
        seen.append(scene.flag.rollout)
        scene.act(pilot)
        scene.wait(HOLD / 2)
    assert seen == [0, 0, 0, 5, 5, 10, 10, 100, 100, 100, 100, 100]
    assert [each.change for each in scene.done] == [
        "0 % -> 5 %",
        "5 % -> 10 %",
        "10 % -> 100 %",
    ]
    assert all(each.step_verdict.as_plain()["decision"] == "ADVANCE" for each in scene.done)


def test_the_deprecation_begins_when_the_hold_of_the_ramp_is_over() -> None:
    scene = Scene()
    pilot = scene.pilot()
    scene.flag.slide(OWN, 100)
    names = []
    for _ in range(4):
        names.append(pilot.assess(scene.flag.now).step_verdict.step.name)
        scene.wait(HOLD / 2)
    assert names == ["ramp, 100 %"] * 2 + ["ramp, 100 %", "deprecation, 100 %"]
    scene.wait(HOLD)
    done = pilot.assess(scene.flag.now).next
    assert done.action is Action.DONE
    assert "retire" in done.reasons[0]


def test_a_moment_off_begins_the_deprecation_anew() -> None:
    scene = Scene()
    scene.flag.slide(OWN, 100)
    scene.wait(2 * HOLD)
    assert scene.pilot().assess(scene.flag.now).next.action is Action.DONE
    scene.flag.switch(HUMAN, on=False)
    scene.wait(HOLD / 60)
    scene.flag.switch(HUMAN, on=True)
    scene.wait(HOLD / 2)
    assessment = scene.pilot(resumed=scene.flag.events[-1].id).assess(scene.flag.now)
    assert (assessment.next.action, assessment.step_verdict.step.name) == (
        Action.HOLD,
        "ramp, 100 %",
    )
    assert "held for 30m of 1h" in assessment.next.reasons[0]


def test_a_rollback_switches_the_flag_off_and_nothing_switches_it_on_again() -> None:
    scene = Scene()
    pilot = scene.pilot()
    scene.flag.slide(OWN, 10)
    scene.pairs.kind = "bad"
    assert scene.act(pilot) is Action.ROLLBACK
    assert not scene.flag.enabled
    scene.pairs.kind = "good"
    scene.wait(10 * HOLD)
    assert scene.act(pilot) is Action.HOLD
    assert not scene.flag.enabled
    assert scene.done[-1].change == "10 % -> off"


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_a_change_by_anybody_else_pauses_it_until_it_is_named(kind: str) -> None:
    scene = Scene()
    pilot = scene.pilot()
    scene.flag.slide(HUMAN, 5)
    scene.wait(2 * HOLD)
    scene.pairs.kind = kind
    assessment = pilot.assess(scene.flag.now)
    number = scene.flag.events[-1].id
    assert assessment.next.action is Action.PAUSED
    assert f"ada changed the flag (rollout 0 % to 5 %, entry {number}" in assessment.next.reasons[0]
    assert f"--resume {number}" in assessment.next.reasons[0]
    pilot.act(assessment)
    assert scene.flag.rollout == 5
    assert scene.act(scene.pilot(resumed=number - 1)) is Action.PAUSED
    scene.act(scene.pilot(resumed=number))
    assert scene.flag.rollout == (10 if kind == "good" else 0)


def test_a_later_change_pauses_it_again() -> None:
    scene = Scene()
    scene.flag.slide(HUMAN, 5)
    first = scene.flag.events[-1].id
    scene.wait()
    scene.flag.slide(HUMAN, 7)
    scene.wait()
    assessment = scene.pilot(resumed=first).assess(scene.flag.now)
    assert assessment.next.action is Action.PAUSED
    assert f"--resume {scene.flag.events[-1].id} " in assessment.next.reasons[0]


def test_another_token_is_somebody_else_and_a_tag_is_not_a_change() -> None:
    scene = Scene()
    scene.flag.tag(HUMAN)
    assert scene.act(scene.pilot()) is Action.HOLD
    assert scene.act(scene.pilot(author=Author("terraform", by_token=True))) is Action.PAUSED


def test_a_person_s_token_is_refused_since_its_doings_are_the_person_s() -> None:
    scene = Scene(HUMAN)
    with pytest.raises(PersonalTokenError, match="this token is ada's own"):
        scene.pilot(author=HUMAN).assess(scene.flag.now)


def test_between_two_steps_the_limits_of_the_lower_one_hold() -> None:
    scene = Scene()
    scene.flag.slide(OWN, 7)
    scene.wait()
    assessment = scene.pilot().assess(scene.flag.now)
    assert assessment.step_verdict.step.name == "canary, 7 %"
    assert assessment.change == "7 % -> 10 %"
    assert plan_at(PLAYBOOK, 50).steps_at(50)[0].stage is Stage.CANARY
    assert plan_at(PLAYBOOK, 10) is PLAYBOOK


def test_what_cannot_be_judged_is_held_with_the_reason() -> None:
    scene = Scene()
    scene.flag.switch(OWN, on=False)
    off = scene.pilot().assess(scene.flag.now)
    assert (off.next.action, off.step_verdict.missing) == (Action.HOLD, "the flag is off")
    canary = PLAYBOOK.model_copy(update={"steps": PLAYBOOK.steps[1:]})
    scene.flag.switch(OWN, on=True)
    pilot = Autopilot(scene.flag.admin(OWN), canary, scene.pairs, record=scene.done.append)
    assert pilot.assess(scene.flag.now).next.reasons == ("the playbook begins above 0 %",)


def test_of_two_that_want_the_same_step_the_second_leaves_it() -> None:
    scene = Scene()
    scene.wait()
    first, second = scene.pilot(), scene.pilot()
    assessments = first.assess(scene.flag.now), second.assess(scene.flag.now)
    first.act(assessments[0])
    changes = len(scene.flag.events)
    with pytest.raises(FlagChangedError, match="rollout 0 % to 5 % by autopilot"):
        second.act(assessments[1])
    assert (scene.flag.rollout, len(scene.flag.events), len(scene.done)) == (5, changes, 1)


@pytest.mark.parametrize("change", ["payload", "off and on", "slide"])
def test_what_has_changed_since_it_was_assessed_is_left(change: str) -> None:
    scene = Scene()
    scene.wait()
    pilot = scene.pilot()
    assessment = pilot.assess(scene.flag.now)
    assert assessment.next.action is Action.ADVANCE
    if change == "payload":
        scene.flag.pay(HUMAN, 0.9)
    elif change == "slide":
        scene.flag.slide(HUMAN, 10)
        scene.flag.slide(HUMAN, 0)
    else:
        scene.flag.switch(HUMAN, on=False)
        scene.flag.switch(HUMAN, on=True)
    with pytest.raises(FlagChangedError, match="no longer as it was judged"):
        pilot.act(assessment)
    assert (scene.flag.rollout, scene.done) == (0, [])


def test_a_slider_that_is_pulled_down_while_it_is_raised_stays_down() -> None:
    scene = Scene()
    scene.flag.slide(OWN, 5)
    scene.wait()
    pilot = scene.pilot()
    assessment = pilot.assess(scene.flag.now)
    scene.flag.meanwhile = lambda: scene.flag.slide(HUMAN, 0)
    with pytest.raises(FlagChangedError):
        pilot.act(assessment)
    assert (scene.flag.rollout, scene.done) == (0, [])


def test_a_flag_that_is_switched_off_while_it_is_raised_stays_where_it_was() -> None:
    scene = Scene()
    pilot = scene.pilot()
    scene.wait()
    assessment = pilot.assess(scene.flag.now)
    scene.flag.meanwhile = lambda: scene.flag.switch(HUMAN, on=False)
    with pytest.raises(FlagChangedError, match="its slider was put back to 0 %"):
        pilot.act(assessment)
    assert (scene.flag.enabled, scene.flag.strategy.rollout) == (False, 0)
    assert scene.done == []


@pytest.mark.parametrize(
    ("user", "author"),
    [
        ({"username": "autopilot", "type": "admin"}, OWN),
        ({"id": 7, "username": "a", "email": "ada"}, HUMAN),
        ({"id": 7, "username": "ada"}, HUMAN),
    ],
)
def test_who_asks_is_read_as_the_event_log_names_them(
    user: dict[str, object], author: Author
) -> None:
    assert Author.parse({"user": user}) == author
