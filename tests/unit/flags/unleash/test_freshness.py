"""Fresh, stale, expired: from what each look at a flag source came to."""

import pytest

from flags.unleash.document import FlagDocument
from flags.unleash.freshness import Freshness, State
from tests.support.fakes import FakeClock
from tests.support.flags_file import document, gradual

DOCUMENT = FlagDocument.parse(document(gradual("5")), "the flags")
OTHER = FlagDocument.parse(document(gradual("6")), "the flags")


@pytest.fixture
def freshness(clock: FakeClock) -> Freshness:
    """Return flags that are stale after 3 s and expired after 10 s, begun now."""
    return Freshness(3.0, 10.0, started=clock.now)


def test_without_flags_it_is_never_ready(freshness: Freshness, clock: FakeClock) -> None:
    freshness.good(clock.now)  # a 304 to a client that has nothing
    assert freshness.state(clock.now) is State.NOT_READY
    freshness.bad("down")
    clock.advance(1000)
    assert freshness.state(clock.now) is State.NOT_READY
    assert freshness.last_good is None


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (0, State.READY),
        (3.0, State.READY),
        (3.01, State.STALE),
        (10.0, State.STALE),
        (10.01, State.EXPIRED),
    ],
)
def test_flags_grow_stale_and_expire_with_the_age_of_the_last_good_answer(
    freshness: Freshness, clock: FakeClock, age: float, state: State
) -> None:
    freshness.good(clock.now, DOCUMENT)
    assert freshness.state(clock.now + age) is state
    assert freshness.age(clock.now + age) == pytest.approx(age)


def test_without_a_maximum_flags_never_expire(clock: FakeClock) -> None:
    freshness = Freshness(3.0)
    freshness.good(clock.now, DOCUMENT)
    assert freshness.state(clock.now + 1e9) is State.STALE


def test_a_confirmation_makes_the_same_flags_fresh_again(
    freshness: Freshness, clock: FakeClock
) -> None:
    freshness.good(clock.now, DOCUMENT)
    freshness.bad("down")
    clock.advance(20)
    freshness.good(clock.now)
    assert freshness.state(clock.now) is State.READY
    assert freshness.document is DOCUMENT
    assert freshness.error is None


def test_a_failure_keeps_the_last_good_flags(freshness: Freshness, clock: FakeClock) -> None:
    freshness.good(clock.now, DOCUMENT)
    freshness.bad("down")
    assert freshness.document is DOCUMENT
    assert freshness.error == "down"
    assert freshness.state(clock.now) is State.READY


def test_flags_that_did_not_come_from_the_source_age_from_the_start(
    freshness: Freshness, clock: FakeClock
) -> None:
    freshness.bootstrapped(DOCUMENT)
    assert freshness.state(clock.now + 1) is State.READY
    assert freshness.state(clock.now + 4) is State.STALE
    freshness.good(clock.now + 5, OTHER)
    assert freshness.state(clock.now + 6) is State.READY
    assert freshness.document is OTHER
