"""Operational alarms in the gate: looks in a row hold, and then roll back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.gate import Decision, Outcome, Verdict, decide
from flags.gate.alarm_states import AlarmReading, SeriesValue, operational_alarms
from flags.gate.checks.operational import NAME
from flags.gate.decide import decide_without_pairs
from flags.gate.evidence import AlarmState, OperationalAlarmHistory, Paired
from flags.playbook.model import Playbook, Step
from tests.support.evidence import FLAG, PAIRS, SINCE, evidence, output

MINUTE = timedelta(minutes=1)
QUEUE = {
    "prometheus": "queue",
    "hold": {"above": 100},
    "rollback": {"above": 200},
    "looks": 3,
    "lasting": "2m",
}


def playbook(**changes: Any) -> Playbook:
    return Playbook.model_validate(
        {"flag": FLAG, "labels": "none", "alarms": {"queue": {**QUEUE, **changes}}}
    )


def step(plan: Playbook, rollout: int) -> Step:
    return plan.steps_at(rollout)[0]


def reading(value: float | str | None, at: datetime, source: str = "prometheus: queue") -> Any:
    """Return a reading of a value, of nothing (None), or of a problem (text)."""
    if isinstance(value, str):
        return AlarmReading("queue", source, at, problem=value)
    worst = None if value is None else SeriesValue(value, "")
    return AlarmReading("queue", source, at, worst, worst)


def seen(values: Sequence[float | str | None], every: timedelta = MINUTE, **changes: Any) -> Any:
    """Return the evidence of looks at these values."""
    plan = playbook(**changes)
    readings = [reading(value, SINCE + n * every) for n, value in enumerate(values)]
    return operational_alarms(plan, readings, SINCE, SINCE + timedelta(days=14))


def judged(values: Sequence[float | str | None], rollout: int = 50, **changes: Any) -> Verdict:
    plan = playbook(**changes)
    alarms = seen(values, **changes)
    return decide(evidence(rollout=rollout, operational_alarms=alarms), plan, step(plan, rollout))


def check(verdict: Verdict) -> tuple[Outcome, bool]:
    found = next(each for each in verdict.checks if each.name == NAME)
    assert found.subject == "queue"
    return found.outcome, found.rolls_back


def test_a_quiet_alarm_lets_the_flag_go_on() -> None:
    verdict = judged([40, 99, 100])
    assert verdict.decision is Decision.ADVANCE
    assert check(verdict) == (Outcome.PASS, False)
    assert not any("queue" in reason for reason in verdict.reasons)


def test_a_firing_alarm_holds_and_is_the_first_reason() -> None:
    verdict = judged([40, 150])
    assert verdict.decision is Decision.HOLD
    assert verdict.reasons == ("operational alarm queue: 150, hold limit above 100",)


def test_the_rollback_limit_rolls_back_after_so_many_looks_in_a_row() -> None:
    first = judged([40, 250])
    assert first.decision is Decision.HOLD
    assert first.reasons[0] == (
        "operational alarm queue: 250, rollback limit above 200, at 1 look; 3 looks and "
        "2m roll back"
    )
    assert judged([250, 250]).decision is Decision.HOLD
    third = judged([250, 250, 260])
    assert third.decision is Decision.ROLLBACK
    assert third.reasons == (
        "operational alarm queue: 260, rollback limit above 200, at 3 looks in a row within 2m",
    )


def test_it_comes_first_among_the_reasons_where_others_roll_back_too() -> None:
    plan = playbook()
    worse = output(Paired(1_900, 100, 2_100, PAIRS - 4_100))
    taken = evidence(worse, rollout=50, operational_alarms=seen([250, 250, 250]))
    verdict = decide(taken, plan, step(plan, 50))
    assert verdict.decision is Decision.ROLLBACK
    assert verdict.reasons[0].startswith("operational alarm queue")
    assert len(verdict.reasons) == 2


def test_a_row_must_last_too() -> None:
    looks = seen([250] * 10, every=timedelta(seconds=10))
    plan = playbook()
    verdict = decide(evidence(rollout=50, operational_alarms=looks), plan, step(plan, 50))
    assert verdict.decision is Decision.HOLD
    assert "at 10 looks in a row within 90s; 3 looks and 2m roll back" in verdict.reasons[0]


def test_a_quiet_look_ends_a_row_and_one_that_found_nothing_out_does_not() -> None:
    assert judged([250, 250, 150, 250]).decision is Decision.HOLD
    assert judged([250, 250, "down", 250]).decision is Decision.ROLLBACK
    assert judged([250, 250, 250, "down"]).decision is Decision.HOLD


def test_in_the_shadow_it_holds_and_does_not_roll_back() -> None:
    verdict = judged([250] * 5, rollout=0)
    assert verdict.decision is Decision.HOLD
    assert verdict.reasons[-1].startswith("HOLD and not ROLLBACK: at 0 %")


@pytest.mark.parametrize("values", [["it is down"], [40, "it is down"], []])
def test_what_is_not_known_holds_and_says_why(values: Sequence[float | str]) -> None:
    verdict = judged(values)
    assert verdict.decision is Decision.HOLD
    assert check(verdict) == (Outcome.INCONCLUSIVE, False)
    why = "not known: it is down" if values else "not queried in this window"
    assert verdict.reasons == (f"operational alarm queue: {why}",)


def test_looks_before_the_window_or_at_another_query_do_not_count() -> None:
    plan, until = playbook(), SINCE + 4 * MINUTE
    readings = [
        *(reading(250, SINCE - n * MINUTE) for n in (3, 2, 1)),
        reading(250, SINCE, source="prometheus: another"),
        reading(40, SINCE + MINUTE),
        reading(250, until + MINUTE),
    ]
    (alarm,) = operational_alarms(plan, readings, SINCE, until)
    assert [(each.state, each.looks) for each in alarm.periods] == [(AlarmState.PASS, 1)]


def test_without_pairs_an_alarm_alone_rolls_back_or_nothing_is_decided() -> None:
    plan = playbook()
    verdict = decide_without_pairs(seen([250, 250, 250]), plan, 50)
    assert verdict is not None
    assert verdict.decision is Decision.ROLLBACK
    assert decide_without_pairs(seen([250, 250, 250]), plan, 0) is None
    assert decide_without_pairs(seen([250, 250]), plan, 50) is None
    assert decide_without_pairs((), plan, 50) is None


VALUES = st.lists(
    st.one_of(st.sampled_from([40.0, 150.0, 250.0]), st.none(), st.just("down")), max_size=30
)


@given(VALUES)
def test_periods_are_the_looks_put_together(values: list[float | str | None]) -> None:
    (alarm,) = seen(values)
    assert sum(each.looks for each in alarm.periods) == len(values)
    states = [each.state for each in alarm.periods]
    assert all(one is not other for one, other in pairwise(states))
    assert all(each.since <= each.until for each in alarm.periods)


@given(VALUES, st.integers(1, 4))
def test_it_rolls_back_if_and_only_if_enough_looks_in_a_row_reach_the_limit(
    values: list[float | str | None], looks: int
) -> None:
    known = [value for value in values if value != "down"]
    row = 0
    while row < len(known) and known[-1 - row] == 250:
        row += 1
    expected = bool(values) and values[-1] != "down" and row >= looks
    verdict = judged(values, looks=looks, lasting="0s")
    assert (verdict.decision is Decision.ROLLBACK) == expected


def test_the_evidence_of_an_alarm_does_not_grow_without_end() -> None:
    (alarm,) = seen([40, 250] * 5_000)
    assert isinstance(alarm, OperationalAlarmHistory)
    assert len(alarm.periods) == 500
    assert alarm.periods[-1].since == SINCE + 9_999 * MINUTE
