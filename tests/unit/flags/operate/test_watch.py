"""Watching workers until each follows: on a clock that only moves when told to."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from flags.errors import FlagsError, NoMigrationEndpointError, ServiceUnreachableError
from flags.monitoring.worker_state import WorkerFlag, Workers
from flags.operate.watch import Watch, WatchResult
from tests.support.fakes import FakeClock
from tests.support.worker_states import worker_flag, worker_state, workers

OFF = worker_flag(enabled=False)
GONE = ServiceUnreachableError("no service answers")

Answers = Callable[..., WatchResult]


@pytest.fixture
def watched(clock: FakeClock) -> Answers:
    """Watch a service that answers these things one after the other, the last one for ever."""

    def watch(*answers: Workers | FlagsError, within: float = 5.0) -> WatchResult:
        told: Iterator[Workers | FlagsError] = iter(answers)
        last: list[Workers | FlagsError] = []

        def ask(_url: str) -> Workers:
            last[:] = [next(told, last[0] if last else answers[-1])]
            if isinstance(last[0], FlagsError):
                raise last[0]
            return last[0]

        def follows(seen: WorkerFlag) -> bool:
            return not seen.enabled

        watch = Watch(
            "http://s",
            "fraud-detector-v2",
            environment="development",
            ask=ask,
            clock=clock,
            sleep=clock.advance,
        )
        return watch.until(follows, within=within, began=clock.now - 1)

    return watch


def both(first: WorkerFlag, second: WorkerFlag) -> Workers:
    return workers(worker_state("w1", flag=first), worker_state("w2", flag=second))


def test_all_follow_once_the_last_one_does(watched: Answers) -> None:
    found = watched(both(worker_flag(), worker_flag()), both(OFF, worker_flag()), both(OFF, OFF))
    assert (found.followed, found.workers, found.missing) == (True, 2, ())
    assert found.seconds == pytest.approx(1.2)


def test_one_that_does_not_follow_in_time_is_named(watched: Answers) -> None:
    found = watched(both(OFF, worker_flag(state="stale")))
    assert (found.followed, found.workers, found.unreachable) == (False, 1, None)
    (words,) = found.missing
    assert "worker w2" in words
    assert "sees on, 10 %, from http://127.0.0.1:4242/api; its flags are stale" in words


def test_one_that_is_silent_is_named_as_such(watched: Answers) -> None:
    found = watched(workers(worker_state("w1", silence=30)))
    assert found.missing[0].endswith("is silent for 30 s")


def test_one_whose_provider_does_not_show_the_flag_cannot_confirm(watched: Answers) -> None:
    found = watched(workers(worker_state("w1", flag=worker_flag(enabled=None, shows_flag=False))))
    assert "does not show the flag" in found.missing[0]


def test_workers_of_another_environment_are_not_waited_for(
    watched: Answers, clock: FakeClock
) -> None:
    there = worker_flag(environment="production")
    began = clock.now
    found = watched(both(there, there))
    assert clock.now == began
    (words,) = found.missing
    assert words == (
        "http://s follows fraud-detector-v2 in production, not in development: "
        "--environment production is what reaches it"
    )


def test_one_worker_of_another_environment_is_named_with_it(watched: Answers) -> None:
    found = watched(both(replace(OFF, environment="development"), worker_flag(environment="test")))
    assert found.workers == 1
    assert "from http://127.0.0.1:4242/api (test)" in found.missing[0]


def test_one_that_sees_no_flag_lets_the_primary_answer(watched: Answers) -> None:
    assert watched(
        workers(worker_state("w1", flag=worker_flag(enabled=None, rollout=None)))
    ).followed


def test_a_service_that_is_gone_is_asked_again_until_the_time_is_over(
    watched: Answers, clock: FakeClock
) -> None:
    assert watched(GONE, GONE, both(OFF, OFF)).followed
    began = clock.now
    found = watched(GONE)
    assert (found.followed, found.unreachable, found.missing) == (False, "no service answers", ())
    assert clock.now - began == pytest.approx(4, abs=0.2)


def test_a_service_that_goes_away_while_a_worker_lags_is_not_taken_for_followed(
    watched: Answers,
) -> None:
    found = watched(both(OFF, worker_flag()), GONE)
    assert found.unreachable is None
    assert "worker w2" in found.missing[0]
    assert found.missing[1:] == ("no service answers, but it did before",)


def test_what_answers_something_else_is_not_asked_again(watched: Answers, clock: FakeClock) -> None:
    began = clock.now
    assert watched(NoMigrationEndpointError("no such thing")).unreachable == "no such thing"
    assert clock.now == began


def test_a_service_with_another_flag_is_not_a_confirmation(watched: Answers) -> None:
    other = Workers("S", "another-flag", both(OFF, OFF).at, both(OFF, OFF).workers)
    found = watched(other)
    assert not found.followed
    assert "follows the flag another-flag, not fraud-detector-v2" in found.missing[0]


def test_no_worker_at_all_is_not_a_confirmation(watched: Answers) -> None:
    assert watched(workers()).missing == ("no worker says anything",)
