"""The authors of changes in the event log, and the reading of a flag's whole event log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from flags.unleash.admin.api import AdminApi
from flags.unleash.admin.flag import FlagEvent


@dataclass(frozen=True, slots=True)
class Author:
    """The user or the admin token that made a change."""

    name: str
    by_token: bool
    """True for an admin token, False for a person, logged in or with a personal access token."""

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Parse the Admin API's description of the token's owner. Raises KeyError or TypeError.

        Only persons have an id; the event log names them by e-mail address if they have one.
        """
        user = answer["user"]
        if user.get("id") is None:
            return cls(str(user["username"]), by_token=True)
        return cls(str(user.get("email") or user["username"]), by_token=False)

    def __str__(self) -> str:
        """Return the name as `status` shows it."""
        return f"{self.name} (admin token)" if self.by_token else self.name


def all_events(api: AdminApi, key: str, page: int) -> list[FlagEvent]:
    """Return the events about the flag in all environments, newest first.

    Entries that are logged during the call shift the older ones, so that some are read twice. None
    is missed, and each is returned once.
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
