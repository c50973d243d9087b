"""Numbers of checks as text: they show on which side of a limit a figure is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.gate.evidence import Paired
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import Write, decimal, extra_digits, percent, points, signed, times
from flags.gate.sequences import RatioSequence
from flags.gate.wording import Wording

WRITERS = [times, points, percent, decimal, signed]


@pytest.mark.parametrize("write", WRITERS)
@given(limit=st.floats(0.01, 20), far=st.floats(1e-6, 0.1), up=st.booleans())
def test_a_number_beside_a_limit_is_written_on_its_side_of_it(
    write: Write, limit: float, far: float, up: bool
) -> None:
    value = limit * (1 + far) if up else limit * (1 - far)
    more = extra_digits(write, (value,), (limit,))
    shown, beside = (float(write(each, more).replace(",", "")) for each in (value, limit))
    assert shown > beside if up else shown < beside


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        (1.31, 1.1, "1.31"),
        (1.099, 1.1, "1.099"),
        (1.0996, 1.1, "1.0996"),
        (1.1, 1.1, "1.10"),
        (9.9996, 10.0, "9.9996"),
        (1.1 + 1e-12, 1.1, "1.10"),
    ],
)
def test_there_are_as_many_digits_as_that_takes(value: float, limit: float, shown: str) -> None:
    assert times(value, extra_digits(times, (value,), (limit,))) == shown


def test_what_is_not_known_or_has_no_end_takes_no_digits() -> None:
    assert extra_digits(times, (None, float("inf"), 1.3), (None, 1.1)) == 0


def test_a_reason_tells_the_end_of_its_interval_from_the_limit() -> None:
    alarms = Paired(9_000, 1_000, 1_000, 90_000)
    sequence = RatioSequence(alarms)
    _, high = sequence.interval(0.05)
    limit = high + 0.0004
    words = Wording("alarm rate {figure} primary's", times, "x")
    check = LimitCheck("alarm_ratio", sequence, words, 1, 1, high=Bounds(limit, 3.0))
    found = check.answer(0.05)
    assert times(high) == times(limit)
    more = extra_digits(times, (high,), (limit,))
    assert f"limit {times(limit, more)}x" in found.reason
    assert f"to {times(high, more)}, n=" in found.reason
