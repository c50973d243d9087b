"""Waits double up to a bound, differ between workers, and honour what the receiver asks for."""

import pytest

from flags.export.backoff import Backoff
from flags.export.shipping_counts import LogLimit
from tests.support.fakes import FakeClock


def test_each_failure_in_a_row_doubles_the_wait_up_to_the_longest(clock: FakeClock) -> None:
    backoff = Backoff(30, clock)
    assert backoff.left == 0
    for longest in (0.5, 1, 2, 4, 8, 16, 30, 30, 30):
        backoff.failed()
        assert longest / 2 <= backoff.left <= longest
        clock.advance(backoff.left)
        assert backoff.left == 0
    backoff.succeeded()
    backoff.failed()
    assert backoff.left <= 0.5


def test_workers_that_fail_together_do_not_come_back_together(clock: FakeClock) -> None:
    waits = set()
    for _ in range(20):
        backoff = Backoff(30, clock)
        backoff.failed()
        waits.add(backoff.left)
    assert len(waits) > 10


def test_what_the_other_side_asks_for_is_the_least(clock: FakeClock) -> None:
    backoff = Backoff(30, clock)
    backoff.failed(at_least=120)
    assert backoff.left == pytest.approx(120)


def test_what_recurs_is_said_seldom_and_each_reason_for_itself(clock: FakeClock) -> None:
    may_log = LogLimit(600, clock)
    assert [may_log("a"), may_log("a"), may_log("b")] == [True, False, True]
    clock.advance(599)
    assert not may_log("a")
    clock.advance(1)
    assert may_log("a")
