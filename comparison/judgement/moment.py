"""Parsing of times that users give: ISO 8601, UTC unless it has an offset."""

from datetime import UTC, datetime

from comparison.errors import TimeUnreadableError


def moment(given: str | datetime | None) -> datetime | None:
    """Return the time with a zone. Raises TimeUnreadableError for a text that is not a time."""
    try:
        time = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError:
        raise TimeUnreadableError(repr(given)) from None
    return time if time is None or time.tzinfo else time.replace(tzinfo=UTC)
