"""A step that needs approval: the autopilot proposes, a person takes it, the autopilot goes on."""

from pathlib import Path

import pytest

from comparison.cli.exit_codes import EXIT_CODES
from flags.operate.next_action import Action
from flags.playbook.model import Playbook
from tests.support.operation import HOLD, OPERATOR, OWN, PLAYBOOK, Operator, Scene

PLAN = Playbook(
    flag=PLAYBOOK.flag,
    steps=tuple(
        step.model_copy(update={"approval": "required" if step.rollout == 10 else None})
        for step in PLAYBOOK.steps
    ),
)
"""From 10 % on to 100 % a person goes."""


@pytest.fixture
def scene() -> Scene:
    made = Scene(playbook=PLAN)
    made.flag.slide(OWN, 10)
    made.wait()
    return made


@pytest.fixture
def operator(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(scene, tmp_path, monkeypatch)


def test_the_autopilot_proposes_the_step_and_waits(scene: Scene) -> None:
    pilot = scene.pilot()
    for _ in range(3):
        assessment = pilot.assess(scene.flag.now)
        pilot.act(assessment)
        assert assessment.next.action is Action.PROPOSED
        assert assessment.next.rollout == 100
        assert assessment.next.reasons[0] == (
            '100 % needs approval: `advance --approve "WHY"` takes the step'
        )
        scene.wait()
    assert (scene.flag.rollout, scene.done) == (10, [])


def test_a_step_without_that_word_is_taken_as_ever(scene: Scene) -> None:
    scene.flag.slide(OWN, 5)
    scene.wait()
    assert scene.act(scene.pilot()) is Action.ADVANCE


def test_bad_pairs_are_rolled_back_without_approval(scene: Scene) -> None:
    scene.pairs.kind = "bad"
    assert scene.act(scene.pilot()) is Action.ROLLBACK


def test_advance_does_not_take_the_step_without_approval(scene: Scene, operator: Operator) -> None:
    assert operator.advance() == EXIT_CODES["HOLD"]
    assert (scene.flag.rollout, operator.reasons) == (10, [])


def test_an_approved_step_is_recorded_with_who_and_why(scene: Scene, operator: Operator) -> None:
    assert operator.advance("--approve", "risk board, 29 November") == 0
    assert scene.flag.rollout == 100
    (change,) = operator.audit.read().changes
    assert change.approval == "risk board, 29 November"
    assert change.reason.startswith("approved: risk board, 29 November (")
    assert "@" in change.by
    assert change.event == scene.history.current.event
    assert scene.history.current.by == OPERATOR.name


def test_an_approval_is_not_an_override(scene: Scene, operator: Operator) -> None:
    scene.pairs.kind = "bad"
    assert operator.advance("--approve", "it looks fine") == EXIT_CODES["ROLLBACK"]
    scene.pairs.kind = "few"
    assert operator.advance("--approve", "it looks fine") == EXIT_CODES["HOLD"]
    assert scene.flag.rollout == 10
    assert operator.advance("--override", "we know better") == 0
    assert operator.audit.read().changes[0].approval is None


@pytest.mark.parametrize("options", [("--approve", " "), ("--approve", "a", "--override", "b")])
def test_an_approval_needs_a_reason_and_stands_alone(
    scene: Scene, operator: Operator, options: tuple[str, ...]
) -> None:
    assert operator.advance(*options) == 2
    assert scene.flag.rollout == 10


def test_the_autopilot_goes_on_from_an_approved_step_and_from_no_other_change(
    scene: Scene, operator: Operator
) -> None:
    def approved() -> int:
        return operator.audit.read().approved(PLAN.flag, scene.flag.admin(OPERATOR).environment)

    assert approved() == 0
    operator.advance("--approve", "risk board")
    scene.wait(HOLD / 2)
    assert scene.act(scene.pilot()) is Action.PAUSED  # does not know of it
    assert scene.act(scene.pilot(approved=approved)) is Action.HOLD
    scene.pairs.kind = "bad"
    scene.flag.slide(OPERATOR, 5)
    assert scene.act(scene.pilot(approved=approved)) is Action.PAUSED


def test_an_approval_of_another_flag_or_environment_does_not_count(
    scene: Scene, operator: Operator
) -> None:
    operator.advance("--approve", "risk board")
    audit = operator.audit.read()
    assert audit.approved("another", scene.flag.admin(OPERATOR).environment) == 0
    assert audit.approved(PLAN.flag, "another") == 0
