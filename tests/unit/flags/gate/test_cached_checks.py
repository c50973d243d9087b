"""Checks that are taken over from an earlier look are equal to newly computed ones."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from flags.gate import decide
from flags.gate.checks.alarms import alarm_checks
from flags.gate.checks.health import health_checks
from flags.gate.checks.quality import quality_checks
from flags.gate.decide import CachedChecks
from flags.gate.evidence import Evidence, Paired, Period, SegmentAlarms
from flags.playbook.model import Playbook
from tests.support.evidence import ALARMS, FLAG, SINCE, evidence, output, periods

PLAYBOOK = Playbook(flag=FLAG, labels="none")
STEP = PLAYBOOK.steps[1]
BEGUN = SINCE + timedelta(minutes=47)
"""Not at a whole hour."""
WORSE = Paired(20, 0, 180, 10_000)

AGES = [
    timedelta(minutes=5),
    timedelta(minutes=20),  # over the hour
    timedelta(hours=23, minutes=55),
    timedelta(hours=24),
    timedelta(hours=24, minutes=10),
    timedelta(hours=25, minutes=14),
    timedelta(days=8, minutes=3),
]


def taken(age: timedelta) -> Evidence:
    """Return evidence of an age, with a segment that rolls back once a day is over."""
    segment = SegmentAlarms("country", "CH", WORSE, Paired(0, 0, 0, 0))
    hours = tuple(
        Period(each.start, WORSE if place > 20 else each.alarms)
        for place, each in enumerate(periods(ALARMS, 26))
    )
    found = evidence(output(periods=hours, segments=(segment,)), rollout=1)
    ends = {"since": BEGUN, "comparable_since": BEGUN, "until": BEGUN + age}
    return replace(found, window=replace(found.window, **ends))


@pytest.mark.parametrize("age", AGES, ids=str)
def test_of_the_end_of_a_window_they_see_what_counts(age: timedelta) -> None:
    """Cached checks get a window with another end, which must not change them."""
    found, known = taken(age), CachedChecks.of(taken(age), PLAYBOOK, STEP)
    assert known.alarms == tuple(alarm_checks(found, PLAYBOOK, STEP))
    assert known.health == tuple(health_checks(found, PLAYBOOK, STEP))
    assert {*quality_checks(found, PLAYBOOK, STEP)} <= {*known.answers}


def test_those_of_an_earlier_look_are_those_of_a_later_one() -> None:
    known = None
    for age in AGES:
        known = CachedChecks.of(taken(age), PLAYBOOK, STEP, known)
        assert decide(taken(age), PLAYBOOK, STEP, known) == decide(taken(age), PLAYBOOK, STEP)


def test_they_are_made_anew_when_an_hour_or_the_first_day_is_over() -> None:
    looks = [CachedChecks.of(taken(AGES[0]), PLAYBOOK, STEP)]
    for age in AGES[1:]:
        looks.append(CachedChecks.of(taken(age), PLAYBOOK, STEP, looks[-1]))
    same_alarms = [one.alarms is two.alarms for one, two in pairwise(looks)]
    same_health = [one.health is two.health for one, two in pairwise(looks)]
    assert same_alarms == [False, False, False, True, False, False]
    assert same_health == [True, True, False, True, True, True]
