"""How long what waits has waited."""

from flags.monitoring.backlog import Lag
from tests.support.fakes import FakeClock


def test_the_lag_is_the_time_that_the_oldest_waiting_pair_has_waited() -> None:
    clock = FakeClock()
    lag = Lag(clock)
    assert lag(waiting=0, written=0) == 0
    assert lag(waiting=3, written=0) == 0
    clock.advance(2)
    assert lag(waiting=8, written=0) == 2
    clock.advance(1)
    assert lag(waiting=8, written=2) == 3, "the third of the first three still waits"
    clock.advance(1)
    assert lag(waiting=7, written=3) == 0, "others wait, but only since now, as far as is known"
    clock.advance(1)
    assert lag(waiting=7, written=3) == 1
    assert lag(waiting=0, written=10) == 0
