"""A limit that most minutes exceed rolls back within half an hour; a stall does not."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.gate import decide
from flags.gate.evidence import Count, Minute, UnitHealth, UnitShare
from flags.gate.sequences.restart import detect
from flags.gate.verdict import Check, Decision, Outcome, Verdict
from flags.playbook.model import Playbook
from tests.support.evidence import FLAG, SINCE, evidence

PLAYBOOK = Playbook(flag=FLAG)
STEP = PLAYBOOK.steps_at(10)[0]
DAYS = 3
FIRST = int(SINCE.timestamp()) // 60 + (DAYS - 1) * 1_440
"""The last day of three."""


def judged(minutes: list[Minute], rollout: int = 10) -> Verdict:
    """Judge twelve tenants of which one fails, which the check by unit cannot show."""
    units = UnitHealth(12, (UnitShare(0.0, 11), UnitShare(1.0, 1)), (UnitShare(0.0, 12),))
    health = {"minutes": tuple(minutes), "by_unit": units, "fallbacks": Count(0, 40_000)}
    found = evidence(rollout=rollout, held=timedelta(days=DAYS), health=health)
    return decide(found, PLAYBOOK, PLAYBOOK.steps_at(rollout)[0])


def day(bad: Minute, last: int, every: int = 1) -> list[Minute]:
    """Return a good day whose last minutes, or each second, third ... of them, are bad."""
    found = [Minute(FIRST + number, 0.0, 0.02, 0.022) for number in range(1_440)]
    for number in range(1_440 - last, 1_440, every):
        found[number] = Minute(FIRST + number, bad.failed, bad.primary, bad.candidate)
    return found


def check(found: Verdict, name: str) -> Check:
    [one] = [each for each in found.checks if each.name == name]
    return one


TENANT_FAILS = Minute(0, 0.5, 0.02, 0.022)
SLOW = Minute(0, 0.0, 0.02, 0.11)


@pytest.mark.parametrize(
    ("bad", "name", "reason"),
    [
        (
            TENANT_FAILS,
            "failure_rate",
            "failures of all requests, whoever sent them, more than +20 points beyond the "
            "primary's in 40 of 40 minutes since 2024-07-04 23:20 UTC",
        ),
        (
            SLOW,
            "latency_p50",
            "p50 beyond 5.00x primary's in 40 of 40 minutes since 2024-07-04 23:20 UTC",
        ),
    ],
)
def test_what_breaks_late_rolls_back_within_the_hour(bad: Minute, name: str, reason: str) -> None:
    found = judged(day(bad, 40))
    assert found.decision is Decision.ROLLBACK
    assert reason in found.reasons
    assert check(found, name).outcome is Outcome.FAIL
    assert judged(day(bad, 40), rollout=0).decision is Decision.HOLD


@pytest.mark.parametrize("bad", [TENANT_FAILS, SLOW])
def test_a_stall_of_ten_minutes_and_every_third_minute_roll_nothing_back(bad: Minute) -> None:
    for minutes in (day(bad, 10), day(bad, 1_440, every=3), []):
        found = judged(minutes)
        for name in ("failure_rate", "latency_p50"):
            assert check(found, name).outcome is not Outcome.FAIL


def test_a_median_that_is_fast_enough_by_itself_is_not_slow() -> None:
    fast = Minute(0, 0.0, 1e-4, 2e-3)
    assert check(judged(day(fast, 60)), "latency_p50").outcome is Outcome.PASS
    unknown = Minute(0, 0.0, None, 2.0)
    assert check(judged(day(unknown, 60)), "latency_p50").outcome is Outcome.PASS


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.data())
def test_leaving_early_gamblers_out_never_adds_evidence(
    beyond: list[bool], data: st.DataObject
) -> None:
    """So a moving window has at most the evidence of the whole, and is as valid."""
    first = data.draw(st.integers(0, len(beyond) - 1))
    cells = [(n, [(1.0, 2.0 if each else 0.0, 1.0)]) for n, each in enumerate(beyond)]
    whole = detect(cells).log_evidence
    part = detect(cells[first:], first).log_evidence
    assert part <= whole + 1e-9
    assert math.isfinite(part)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_each_minute_beyond_a_limit_at_most_doubles_the_evidence(beyond: list[bool]) -> None:
    """So few minutes beyond the limit cannot show a break, and need no search."""
    cells = [(n, [(1.0, 2.0 if each else 0.0, 1.0)]) for n, each in enumerate(beyond)]
    assert detect(cells).log_evidence <= sum(beyond) * math.log(2)
