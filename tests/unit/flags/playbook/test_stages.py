"""Stages follow one another upwards; downwards every move is allowed."""

import pytest

from flags.playbook.stages import Stage

UPWARDS = (
    Stage.OFF,
    Stage.SHADOW,
    Stage.CANARY,
    Stage.RAMP,
    Stage.DEPRECATION,
    Stage.RETIRED,
)


@pytest.mark.parametrize("before", UPWARDS[:-1])
@pytest.mark.parametrize("after", UPWARDS)
def test_one_stage_up_at_most_and_down_always(before: Stage, after: Stage) -> None:
    up = UPWARDS.index(after) - UPWARDS.index(before)
    assert before.may_become(after) is (up <= 1)


def test_there_is_no_way_back_from_retired() -> None:
    assert [each for each in UPWARDS if Stage.RETIRED.may_become(each)] == [Stage.RETIRED]
