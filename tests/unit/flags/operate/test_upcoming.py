"""When the next step may be taken, by the flag's history and the playbook."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from flags.cli.status_table import print_status
from flags.operate.status import MigrationStatus, Upcoming
from flags.playbook.model import Playbook
from tests.support.evidence import FLAG, SINCE
from tests.support.operation import HOLD, HUMAN, PLAYBOOK, Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


def upcoming(scene: Scene, playbook: Playbook = PLAYBOOK) -> Upcoming | None:
    return Upcoming.of(scene.history, playbook, scene.flag.now)


def test_the_next_step_comes_when_the_hold_of_the_present_one_is_over(scene: Scene) -> None:
    assert upcoming(scene) == Upcoming("canary, 5 %", SINCE, SINCE + HOLD, needs_approval=False)
    scene.wait(HOLD / 2)
    scene.flag.slide(HUMAN, 10)
    moved = SINCE + HOLD / 2
    assert upcoming(scene) == Upcoming("ramp, 100 %", moved, moved + HOLD, needs_approval=False)


def test_ramp_and_deprecation_follow_one_another_at_the_same_rollout(scene: Scene) -> None:
    scene.flag.slide(HUMAN, 100)
    assert upcoming(scene) == Upcoming(
        "deprecation, 100 %", SINCE, SINCE + HOLD, needs_approval=False
    )
    scene.wait(HOLD + timedelta(minutes=1))
    assert upcoming(scene) is None


def test_between_two_steps_the_higher_one_is_next(scene: Scene) -> None:
    scene.flag.slide(HUMAN, 7)
    found = upcoming(scene)
    assert found is not None
    assert found.step == "canary, 10 %"


def test_a_flag_that_is_off_has_no_next_step(scene: Scene) -> None:
    scene.flag.switch(HUMAN, on=False)
    assert upcoming(scene) is None


def test_the_status_says_when_and_whether_a_person_must_approve(scene: Scene) -> None:
    steps = (PLAYBOOK.steps[0].model_copy(update={"approval": "required"}), *PLAYBOOK.steps[1:])
    playbook = Playbook(flag=FLAG, steps=steps)

    def line() -> str:
        admin = scene.flag.admin(HUMAN)
        found = MigrationStatus.of(
            FLAG,
            unleash=admin.state(FLAG),
            events=admin.all_events(FLAG),
            playbook=playbook,
            now=scene.flag.now,
        )
        assert found.as_plain()["upcoming"] == found.upcoming
        out = StringIO()
        print_status(found, Console(file=out, width=120, highlight=False), scene.flag.now)
        return next(each for each in out.getvalue().splitlines() if each.startswith("next step"))

    assert line() == "next step    canary, 5 %, with approval, not before 2024-07-02 01:00 UTC"
    scene.wait(2 * HOLD)
    assert line() == "next step    canary, 5 %, with approval, as soon as the gate allows it"
