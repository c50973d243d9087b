"""A playbook: its defaults, its steps and its limits."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from flags.errors import PlaybookError
from flags.playbook.file import parse_playbook
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

DAY = timedelta(days=1)


def test_the_default_steps_are_the_four_stages() -> None:
    assert [(step.stage, step.rollout, step.hold) for step in Playbook(flag="f").steps] == [
        (Stage.SHADOW, 0, 7 * DAY),
        (Stage.CANARY, 1, DAY),
        (Stage.CANARY, 5, DAY),
        (Stage.CANARY, 10, DAY),
        (Stage.RAMP, 50, 2 * DAY),
        (Stage.RAMP, 100, 2 * DAY),
        (Stage.DEPRECATION, 100, 14 * DAY),
    ]


def test_a_playbook_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Playbook(flag="f").error_rate = 0.1  # type: ignore[misc]


def test_approval_is_required_or_not_given() -> None:
    text = "flag: f\nsteps: [{stage: shadow, rollout: 0, hold: 1d, approval: %s}]"
    assert parse_playbook(text % "required", "p").steps[0].approval == "required"
    with pytest.raises(
        PlaybookError, match=r"p:2: steps\[1\].approval is 'yes': must be required$"
    ):
        parse_playbook(text % "'yes'", "p")


PLAYBOOK = parse_playbook(
    """
flag: f
gate: {advance: {alarm_ratio: 1.2, latency_p99: 3}}
outputs: {o: {gate: {advance: {alarm_ratio: 1.05}, rollback: {alarm_ratio: 1.6}}}}
segments:
  channel:
  country: {gate: {advance: {segment_alarm_ratio: 1.9}}}
steps:
- stage: shadow
  rollout: 0
  hold: 1d
  gate: {advance: {alarm_ratio: 1.22}}
- {stage: canary, rollout: 5, hold: 1d}
- {stage: canary, rollout: 10, hold: 1d}
- {stage: ramp, rollout: 100, hold: 1d}
- {stage: deprecation, rollout: 100, hold: 1d}
""",
    "playbook.yaml",
)


def test_limits_of_an_output_go_before_the_steps_and_these_before_the_playbooks() -> None:
    shadow, canary = PLAYBOOK.steps[:2]
    assert PLAYBOOK.gate_of(shadow).advance.alarm_ratio == 1.22
    assert PLAYBOOK.gate_of(canary).advance.alarm_ratio == 1.2
    assert PLAYBOOK.gate_of(shadow, output="o").advance.alarm_ratio == 1.05
    assert PLAYBOOK.gate_of(shadow, output="o").rollback.alarm_ratio == 1.6
    assert PLAYBOOK.gate_of(shadow, output="other").advance.alarm_ratio == 1.22
    assert PLAYBOOK.gate_of(shadow, output="o").advance.latency_p99 == 3
    assert PLAYBOOK.gate_of(shadow, segment="country").advance.segment_alarm_ratio == 1.9
    assert PLAYBOOK.gate_of(shadow, segment="channel").advance.segment_alarm_ratio == 1.5


def test_the_steps_are_known_by_their_order_and_their_rollout() -> None:
    shadow, five, ten, hundred, deprecation = PLAYBOOK.steps
    assert PLAYBOOK.after(shadow) == five
    assert PLAYBOOK.after(deprecation) is None
    assert PLAYBOOK.steps_at(10) == (ten,)
    assert PLAYBOOK.steps_at(100) == (hundred, deprecation)
    assert PLAYBOOK.steps_at(7) == ()
    assert deprecation.name == "deprecation, 100 %"


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (0, 3, True),
        (0, 5, True),
        (0, 10, False),
        (0, 100, False),
        (3, 5, True),
        (3, 10, False),
        (5, 5, True),
        (5, 100, False),
        (10, 100, True),
        (100, 0, True),
    ],
)
def test_the_rollout_goes_up_by_one_step_at_most(before: int, after: int, allowed: bool) -> None:
    assert PLAYBOOK.may_go(before, after) is allowed


def test_a_step_can_be_made_in_code() -> None:
    step = Step(stage=Stage.CANARY, rollout=5, hold=DAY)
    assert Playbook(flag="f", steps=(step,)).steps == (step,)
