"""A flag kept in memory as Unleash keeps it, for orders of events that no server can be brought to.

It stands for `UnleashAdmin` in the state machine's properties only; what the real one does with the
same calls is in `tests/integration/operate/test_operate.py`.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

from flags.unleash.admin import Author, FlagEvent, FlagState, Strategy
from flags.unleash.admin.errors import FlagChangedError, UnleashUnreachableError
from tests.support.unleash.event_log import flag_event, rollout


class FlagOnPaper:
    """One flag with its event log; `now` is the clock of the server."""

    def __init__(self, key: str, now: datetime, author: Author) -> None:
        self.key = key
        self.now = now
        self.enabled = False
        self.strategy: Strategy = rollout(1, 0)
        self.events: list[FlagEvent] = []
        self.is_down = False
        self.meanwhile: Callable[[], None] | None = None
        """What somebody does between a caller's last look and its change."""
        self._log(author, "feature-created")
        self._log(author, "feature-strategy-add", after=self.strategy)
        self.switch(author, on=True)

    @property
    def rollout(self) -> int:
        """Return what callers see: 0 while it is off."""
        return (self.strategy.rollout or 0) if self.enabled else 0

    def switch(self, author: Author, *, on: bool) -> None:
        if on != self.enabled:
            self.enabled = on
            self._log(author, f"feature-environment-{'enabled' if on else 'disabled'}")

    def slide(self, author: Author, percent: int) -> None:
        self._change(author, rollout=percent, rollout_text=str(percent))

    def pay(self, author: Author, threshold: float) -> None:
        self._change(author, payload={"threshold": threshold})

    def tag(self, author: Author) -> None:
        self._log(author, "feature-tagged")

    def admin(self, author: Author) -> "PaperAdmin":
        return PaperAdmin(self, author)

    def _change(self, author: Author, **fields: Any) -> None:
        before, self.strategy = self.strategy, replace(self.strategy, **fields)
        self._log(author, "feature-strategy-update", before, self.strategy)

    def _log(
        self,
        author: Author,
        type: str,
        before: Strategy | None = None,
        after: Strategy | None = None,
    ) -> None:
        number = len(self.events) + 1
        self.events.append(flag_event(number, self.now, author, type, before, after))


class PaperAdmin:
    """The part of `UnleashAdmin` that moving a flag needs, with its rules, for one author."""

    def __init__(self, flag: FlagOnPaper, author: Author) -> None:
        self._flag = flag
        self._author = author

    environment = "development"
    url = "http://unleash"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing open."""

    def note(self, key: str, text: str) -> str:
        self._reached()
        self._flag.tag(self._author)
        return text

    def author(self) -> Author:
        self._reached()
        return self._author

    def state(self, key: str) -> FlagState:
        self._reached()
        flag = self._flag
        strategies = (flag.strategy,)
        return FlagState(
            key, "release", "development", flag.enabled, False, strategies, "http://unleash"
        )

    def all_events(self, key: str) -> list[FlagEvent]:
        self._reached()
        return list(reversed(self._flag.events))

    def set_rollout(self, key: str, percent: int, *, expected: int | None = None) -> None:
        self._somebody_comes_first()
        present = self._flag.strategy.rollout or 0
        if expected is not None and expected != present and percent > min(present, expected):
            raise FlagChangedError(key)
        self._flag.slide(self._author, percent)

    def turn_off(self, key: str) -> None:
        self._somebody_comes_first()
        self._flag.switch(self._author, on=False)

    def _somebody_comes_first(self) -> None:
        self._reached()
        meanwhile, self._flag.meanwhile = self._flag.meanwhile, None
        if meanwhile is not None:
            meanwhile()

    def _reached(self) -> None:
        if self._flag.is_down:
            raise UnleashUnreachableError("no Unleash answers")
