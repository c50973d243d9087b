"""Durations are a number and a unit."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.playbook.durations import duration, duration_text

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7d", 7 * DAY),
        ("48h", 2 * DAY),
        ("90m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("30s", timedelta(seconds=30)),
        ("250ms", timedelta(milliseconds=250)),
        ("0s", timedelta(0)),
    ],
)
def test_durations_are_a_number_and_a_unit(text: str, value: timedelta) -> None:
    assert duration(text) == value


@given(st.integers(0, 10**9).map(lambda each: timedelta(milliseconds=each)))
def test_a_duration_that_was_written_is_read_again(value: timedelta) -> None:
    assert duration(duration_text(value)) == value


@pytest.mark.parametrize(
    "text", ["7", "d", "-1d", "1w", "7 d", "1d12h", 7, None, "1e3s", "9" * 30 + "d"]
)
def test_what_is_not_a_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is too long"):
        duration(text)
