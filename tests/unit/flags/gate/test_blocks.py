"""Counts in blocks of time."""

from datetime import timedelta
from itertools import pairwise

import pytest

from flags.gate.blocks import DAY, Blocks, total
from flags.gate.checks.alarm_time import AlarmHistory
from flags.gate.evidence import Paired, Period
from flags.gate.sequences.restart import log_stakes
from flags.gate.verdict import Outcome
from flags.playbook.model import Playbook
from tests.support.evidence import FLAG, SINCE, output

GOOD, TWICE = Paired(160, 40, 40, 40_000), Paired(160, 40, 240, 40_000)
PLAYBOOK = Playbook(flag=FLAG)


def history(*hours: Paired) -> AlarmHistory:
    periods = [Period(SINCE + timedelta(hours=n), each) for n, each in enumerate(hours)]
    until = SINCE + timedelta(hours=len(hours))
    found = output(total(hours), periods=tuple(periods))
    return AlarmHistory(found, total(hours), until, PLAYBOOK.gate, PLAYBOOK, 1, required=True)


def test_the_stakes_of_all_hours_sum_to_less_than_one() -> None:
    assert log_stakes(0, 720) == pytest.approx(-0.693147, abs=1e-6)
    assert log_stakes(0, 10**7) < 0


def test_twice_the_alarms_in_the_first_hours_are_no_reason_to_roll_back_yet() -> None:
    assert history(*[TWICE] * 6).ratio().outcome is Outcome.INCONCLUSIVE
    assert history(*[TWICE] * DAY).ratio().outcome is Outcome.FAIL


def test_a_break_is_found_within_hours_and_dated() -> None:
    found = history(*[GOOD] * 14 * DAY, TWICE, TWICE).broken()
    assert found.outcome is Outcome.FAIL
    assert "since about 2024-07-16 00:00" in found.reason


def test_a_break_is_held_against_the_same_hours_where_there_were_enough_alarms_before() -> None:
    found = history(*[GOOD] * 14 * DAY, TWICE, TWICE).broken()
    assert found.outcome is Outcome.FAIL
    assert "x what the same hours had before (" in found.reason


def test_where_hardly_an_alarm_came_before_the_reason_says_how_many() -> None:
    quiet = [Paired(0, 0, 0, 40)] * (DAY - 1)
    found = history(Paired(3, 1, 0, 40), *quiet, *[Paired(10, 1, 300, 40_000)] * 6).broken()
    assert found.outcome is Outcome.FAIL
    assert "beyond 1.75x what all hours before had, 4 alarms a side (" in found.reason


def test_where_no_alarm_came_before_nothing_is_said_of_it() -> None:
    quiet = [Paired(0, 0, 0, 40)] * DAY
    found = history(*quiet, *[Paired(10, 1, 300, 40_000)] * 6).broken()
    assert found.outcome is Outcome.FAIL
    assert "beyond 1.75x (" in found.reason


def test_an_evening_that_is_always_high_is_not_a_break() -> None:
    day = [GOOD] * 18 + [TWICE] * 6
    assert history(*day * 10).broken().outcome is Outcome.PASS


def test_minutes_are_the_same_blocks_as_their_hours() -> None:
    tables = [Paired(n % 3, 1, n % 5, 90) for n in range(150)]
    minutes = [Period(SINCE + timedelta(minutes=30 + n), each) for n, each in enumerate(tables)]
    bounds = (0, 30, 90, 150)
    hours = [
        Period(SINCE + timedelta(hours=n), total(tables[begin:end]))
        for n, (begin, end) in enumerate(pairwise(bounds))
    ]
    until = SINCE + timedelta(hours=3)
    assert Blocks.of(minutes, until) == Blocks.of(hours, until)
