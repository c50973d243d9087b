"""A server that does not answer gets only trial calls."""

from flags.serving.remote.breaker import FIRST_DELAY, LONGEST_DELAY, CircuitBreaker
from tests.support.fakes import FakeClock


def opened(clock: FakeClock, limit: int = 3) -> CircuitBreaker:
    breaker = CircuitBreaker(limit, clock)
    for _ in range(limit):
        assert breaker.allows()
        breaker.failed()
    return breaker


def test_failures_in_a_row_open_it_and_an_answer_in_between_does_not(clock: FakeClock) -> None:
    breaker = CircuitBreaker(3, clock)
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.allows()
    assert not breaker.is_open
    assert not opened(clock).allows()


def test_one_call_for_each_delay_is_a_trial(clock: FakeClock) -> None:
    breaker = opened(clock)
    clock.advance(FIRST_DELAY)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    clock.advance(FIRST_DELAY)  # the trial has not ended yet
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_trial_that_fails_doubles_the_delay_up_to_the_longest(clock: FakeClock) -> None:
    breaker = opened(clock)
    delay = FIRST_DELAY
    for _ in range(6):
        clock.advance(delay - 0.01)
        assert not breaker.allows()
        clock.advance(0.01)
        assert breaker.allows()
        breaker.failed()
        delay = min(2 * delay, LONGEST_DELAY)
    assert delay == LONGEST_DELAY


def test_a_trial_that_is_answered_closes_it(clock: FakeClock) -> None:
    breaker = opened(clock)
    clock.advance(FIRST_DELAY)
    assert breaker.allows()
    breaker.succeeded()
    assert not breaker.is_open
    assert all(breaker.allows() for _ in range(10))
