"""The authors of changes, as the event log names them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from flags.unleash.admin.api import AdminApi
from flags.unleash.admin.flag import FlagEvent


@dataclass(frozen=True, slots=True)
class Author:
    """Name the user or the admin token behind an entry of the event log."""

    name: str
    by_token: bool
    """True of an admin token, False of a person: logged in, or by a personal access token."""

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Read what the Admin API says of who is asking; KeyError or TypeError if it does not.

        unleash-server gives persons an id, and logs them by e-mail address where they have one.
        """
        user = answer["user"]
        if user.get("id") is None:
            return cls(str(user["username"]), by_token=True)
        return cls(str(user.get("email") or user["username"]), by_token=False)

    def __str__(self) -> str:
        """Say it as `status` does."""
        return f"{self.name} (admin token)" if self.by_token else self.name


def every_event(api: AdminApi, key: str, page: int) -> list[FlagEvent]:
    """Return the events about the flag in all environments, newest first.

    What is logged meanwhile moves the older entries on, so that some are read twice, but none is
    left out; each is returned once.
    """
    found: dict[int, FlagEvent] = {}
    offset = 0
    while True:
        query = {"feature": f"IS:{key}", "limit": str(page), "offset": str(offset)}
        answer = api.call("GET", "search", "events", query=query)
        events = [FlagEvent.parse(event) for event in answer["events"]]
        found.update((event.id, event) for event in events)
        if len(events) < page:
            return sorted(found.values(), key=lambda event: event.id, reverse=True)
        offset += page
