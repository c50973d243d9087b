"""Steps up that nobody can have had evidence for."""

from datetime import timedelta

import pytest

from flags.operate.history import read_history
from flags.operate.unproven_steps import UnprovenStep, unproven_steps
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage
from flags.unleash.admin import Author
from tests.support.evidence import FLAG, SINCE
from tests.support.unleash.fake_admin import FlagOnPaper

ADA = Author("ada", by_token=False)
DAY = timedelta(days=1)
PLAYBOOK = Playbook(
    flag=FLAG,
    steps=(
        Step(stage=Stage.SHADOW, rollout=0, hold=DAY),
        Step(stage=Stage.CANARY, rollout=5, hold=DAY),
        Step(stage=Stage.CANARY, rollout=10, hold=DAY),
        Step(stage=Stage.RAMP, rollout=100, hold=2 * DAY),
    ),
)


def story(*moves: tuple[timedelta, int | str]) -> FlagOnPaper:
    """Wait, then move the slider or switch `on` or `off`, again and again."""
    flag = FlagOnPaper(FLAG, SINCE, ADA)
    for wait, move in moves:
        flag.now += wait
        if isinstance(move, int):
            flag.slide(ADA, move)
        else:
            flag.switch(ADA, on=move == "on")
    return flag


def unproven(flag: FlagOnPaper, playbook: Playbook | None = PLAYBOOK) -> tuple[UnprovenStep, ...]:
    return unproven_steps(read_history(flag.admin(ADA), FLAG)[1], playbook)


def test_one_step_a_hold_is_as_planned_and_so_is_every_way_down() -> None:
    assert unproven(story((DAY, 5), (DAY, 10), (DAY, 100))) == ()
    assert unproven(story((DAY, 5), (DAY, 10), (timedelta(minutes=1), 5))) == ()


@pytest.mark.parametrize(
    ("moves", "what", "why"),
    [
        ([(DAY, 10)], "0 % to 10 %", ("more than one step at once",)),
        (
            [(DAY, 7)],
            "0 % to 7 %",
            ("7 % is not a step of the playbook", "more than one step at once"),
        ),
        ([(DAY, 5), (timedelta(hours=2), 10)], "5 % to 10 %", ("held for 2h of 1d",)),
        (
            [(DAY, 5), (DAY, "off"), (DAY, "on")],
            "off to 5 %",
            ("more than one step at once",),
        ),
    ],
)
def test_a_step_is_named_with_what_gives_it_away(
    moves: list[tuple[timedelta, int | str]], what: str, why: tuple[str, ...]
) -> None:
    flag = story(*moves)
    assert unproven(flag) == (UnprovenStep(flag.now, "ada", False, what, why),)


def test_what_has_been_taken_back_is_not_named_any_more() -> None:
    assert unproven(story((DAY, 10), (DAY, 0))) == ()
    assert unproven(story((DAY, 10), (DAY, "off"))) == ()
    assert unproven(story((DAY, 10), (DAY, 0), (DAY, 5))) == ()


def test_without_a_playbook_only_stages_can_be_told() -> None:
    assert unproven(story((DAY, 7)), None) == ()
    (step,) = unproven(story((DAY, 50)), None)
    assert step.why == ("ramp does not follow shadow",)
