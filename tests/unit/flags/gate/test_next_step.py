"""The time of the next step."""

from datetime import timedelta
from typing import Any

from flags.gate import decide
from flags.gate.evidence import (
    AlarmPeriod,
    AlarmState,
    Gap,
    OperationalAlarmHistory,
    Output,
    Paired,
)
from flags.gate.next_step import NextStep, next_step
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage
from tests.support.evidence import FLAG, PAIRS, SINCE, evidence, output

HOUR = timedelta(hours=1)
PLAN = Playbook.model_validate(
    {
        "flag": FLAG,
        "labels": "none",
        "steps": [
            {"stage": "canary", "rollout": 10, "hold": "48h", "min_pairs": 100_000},
            {"stage": "ramp", "rollout": 50, "hold": "48h", "approval": "required"},
            {"stage": "ramp", "rollout": 100, "hold": "48h", "approval": "required"},
            {"stage": "deprecation", "rollout": 100, "hold": "48h"},
        ],
    }
)
CANARY, RAMP, LAST_RAMP, END = PLAN.steps


def coming(
    *outputs: Output, step: Step = CANARY, plan: Playbook = PLAN, **changes: Any
) -> NextStep | None:
    taken = evidence(*outputs, **{"rollout": step.rollout, **changes})
    return next_step(taken, decide(taken, plan, step), plan, step)


def test_with_all_shown_it_is_expected_when_the_hold_is_over() -> None:
    found = coming(held=12 * HOUR)
    assert found == NextStep(
        "ramp, 50 %", 50, SINCE + 48 * HOUR, SINCE + 48 * HOUR, needs_approval=False
    )


def test_after_the_hold_it_is_expected_now() -> None:
    found = coming(held=60 * HOUR)
    assert found is not None
    assert found.expected == SINCE + 60 * HOUR


def test_time_without_traffic_puts_it_off() -> None:
    """A pair a week ago and three hours of traffic: the hold has 45 hours to go, from now."""
    silent = Gap(SINCE, SINCE + 168 * HOUR)
    found = coming(held=171 * HOUR, window={"gaps": (silent,)})
    assert found is not None
    assert found.not_before == SINCE + (171 + 45) * HOUR
    assert found.expected == found.not_before


def test_missing_pairs_put_it_off_at_their_present_pace() -> None:
    found = coming(held=40 * HOUR, pairs=40_000, window={"first": SINCE, "pairs": 40_000})
    assert found is not None
    assert found.expected is not None
    assert found.expected >= SINCE + 99 * HOUR
    assert found.not_before == SINCE + 48 * HOUR


def test_nothing_is_expected_where_time_alone_does_not_mend_it() -> None:
    many = output(Paired(1_900, 100, 900, PAIRS - 2_900))
    taken = evidence(many, rollout=10, held=12 * HOUR)
    found = next_step(taken, decide(taken, PLAN, CANARY), PLAN, CANARY)
    assert found is None or found.expected is None
    shed = coming(integrity={"found": 1_000})
    assert shed is not None
    assert shed.expected is None
    without_pairs = coming(held=HOUR, pairs=0)
    assert without_pairs is not None
    assert without_pairs.expected is None


def test_more_pairs_that_would_fail_a_check_bring_no_next_step() -> None:
    """Surely twice the alarms: more pairs lead to a rollback, so no time is expected."""
    found = coming(
        output(Paired(20, 5, 30, 4_945)), held=60 * HOUR, pairs=5_000, window={"pairs": 5_000}
    )
    assert found is not None
    assert found.expected is None


def test_a_firing_alarm_puts_it_off_for_nobody_knows_how_long() -> None:
    plan = PLAN.model_copy(
        update={"alarms": Playbook.model_validate({"flag": "f", "alarms": ALARMS}).alarms}
    )
    period = AlarmPeriod(AlarmState.HOLD, SINCE, SINCE, 1, None, None, "answers hold")
    found = coming(
        plan=plan,
        held=HOUR,
        operational_alarms=[OperationalAlarmHistory("freeze", "webhook: x", (period,))],
    )
    assert found is not None
    assert found.expected is None


ALARMS = {"freeze": {"webhook": "https://change.example"}}


def test_the_approval_is_that_of_a_change_of_the_flag() -> None:
    steps = (CANARY, RAMP, LAST_RAMP)
    approvals = [found.needs_approval for step in steps if (found := coming(step=step))]
    assert approvals == [False, True, False]


def test_after_the_last_step_and_after_a_rollback_nothing_comes() -> None:
    assert END.stage is Stage.DEPRECATION
    assert coming(step=END) is None
    fails = {"failures": Paired(0, 10, 40_000, PAIRS - 40_010)}
    assert coming(health=fails) is None
