"""The step that a text names."""

import pytest

from comparison.errors import StepNotFoundError
from comparison.judgement.judgement import chosen_step, step_at
from flags.playbook.model import Playbook
from tests.support.simulated_evidence import FLAG

PLAYBOOK = Playbook(flag=FLAG)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("canary, 5 %", "canary, 5 %"),
        ("5", "canary, 5 %"),
        ("5%", "canary, 5 %"),
        ("5.0", "canary, 5 %"),
        ("Canary-5", "canary, 5 %"),
        ("canary", "canary, 1 %"),
        ("100", "ramp, 100 %"),
        ("deprecation", "deprecation, 100 %"),
        ("shadow", "shadow, 0 %"),
    ],
)
def test_a_step_is_named_by_rollout_stage_or_both(wanted: str, name: str) -> None:
    assert chosen_step(PLAYBOOK, wanted).name == name


@pytest.mark.parametrize("wanted", ["7", "retired", "canary 50", "", "%", "shadow deprecation"])
def test_a_step_that_is_not_there_is_refused_with_those_that_are(wanted: str) -> None:
    with pytest.raises(StepNotFoundError, match=r"its steps are: shadow, 0 %; canary, 1 %"):
        chosen_step(PLAYBOOK, wanted)


def test_the_first_step_at_a_rollout_is_taken() -> None:
    assert step_at(PLAYBOOK, 100.0).name == "ramp, 100 %"
    with pytest.raises(StepNotFoundError, match=r"no step 12\.5 %"):
        step_at(PLAYBOOK, 12.5)
