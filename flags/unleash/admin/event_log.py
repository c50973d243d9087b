"""Read the whole event log of a flag, page by page."""

from flags.unleash.admin.api import AdminApi
from flags.unleash.admin.flag import FlagEvent


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
