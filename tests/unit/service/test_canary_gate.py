"""The demo's review queue, its webhook, and the looks at it."""

from datetime import UTC, datetime

import pytest

from flags.gate.alarm_states import alarm_state
from flags.gate.evidence import AlarmState
from service.canary_gate import ALARM, Looks, playbook
from service.replay import Reply
from service.review_queue import ReviewQueue


def paid(*, alarm: bool = False, status: int = 200) -> Reply:
    return Reply("r", status, "primary", {"alarm": alarm} if status == 200 else "away")


@pytest.mark.parametrize(("alarms", "state"), [(2, AlarmState.PASS), (3, AlarmState.HOLD)])
def test_a_queue_that_is_too_long_holds_and_says_how_long_it_is(
    alarms: int, state: AlarmState
) -> None:
    with ReviewQueue(payments_a_review=100, most=2) as queue:
        for _ in range(alarms):
            queue.take(paid(alarm=True))
        plan = playbook(queue.url, 10)
        with Looks(plan) as looks:
            pass
    reading = looks.readings[-1]
    assert reading.at <= datetime.now(UTC)
    found = alarm_state(reading, plan.alarms[ALARM])
    assert found.state is state
    assert f"payments that wait for a reviewer: {alarms}, at most 2 should" in found.reason


def test_reviewers_work_off_one_after_the_other_as_payments_go_by() -> None:
    with ReviewQueue(payments_a_review=3, most=0) as queue:
        queue.take(paid())  # nothing waits: this time is not saved up
        queue.take(paid(alarm=True))
        queue.take(paid(alarm=True))
        queue.take(paid(status=503))
        assert "reviewer: 1, at most 0" in queue.decision()["reason"]
        for _ in range(3):
            queue.take(paid())
        assert (queue.decision()["decision"], queue.longest) == ("pass", 2)
