"""The next step in words."""

from datetime import UTC, datetime

from flags.gate.next_step import NextStep


def forecast(following: NextStep) -> str:
    """Say what the next step is, and when it is expected."""
    when = f"not before {_moment(following.not_before)}"
    if following.expected is not None:
        when = f"expected {_moment(following.expected)}"
    approval = ", with approval" if following.approval else ""
    return f"{following.name}{approval}, {when}"


def _moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
