"""A flag that is changed at random as in Unleash, with the log that Unleash would write."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from flags.operate.setting import Setting
from flags.unleash.admin import Author, FlagEvent, FlagState, Strategy

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def rollout(number: int, percent: int, **others: object) -> Strategy:
    """Return a gradual rollout whose id is made of `number`."""
    strategy = Strategy(
        id=f"s{number}",
        name="flexibleRollout",
        disabled=False,
        rollout=percent,
        rollout_text=str(percent),
        stickiness="requestId",
        group_id="flag",
        constraints=0,
        variants=(),
        payload=None,
    )
    return replace(strategy, **others)  # type: ignore[arg-type]


def flag_event(
    number: int,
    time: datetime,
    author: Author,
    type: str,
    before: Strategy | None = None,
    after: Strategy | None = None,
) -> FlagEvent:
    """Return an entry of the log as Unleash writes it."""
    switched = {"feature-environment-enabled": True, "feature-environment-disabled": False}
    return FlagEvent(
        id=number,
        time=time,
        by=author.name,
        by_token=author.by_token,
        type=type,
        environment="development",
        enabled=switched.get(type),
        rollout_before=before.rollout if before else None,
        rollout_after=after.rollout if after else None,
        stickiness_before=before.stickiness if before else None,
        stickiness_after=after.stickiness if after else None,
        before=before,
        after=after,
    )


@dataclass
class FlagStory:
    """Change a flag as people do, and keep the truth beside the log."""

    random: Random
    enabled: bool = False
    archived: bool = False
    strategies: dict[str, Strategy] = field(default_factory=dict)
    events: list[FlagEvent] = field(default_factory=list)
    truth: list[tuple[Setting, datetime]] = field(default_factory=list)
    """What was in force from when on, one entry a change."""

    def __post_init__(self) -> None:
        self._now = BEGAN
        self._log("feature-created")
        self._settle()

    def change(self) -> None:
        """Do one thing at random, or nothing where Unleash would refuse it."""
        self._now += timedelta(milliseconds=self.random.randint(1, 10**7))
        changes: tuple[Callable[[], None], ...] = (
            *(self._slide,) * 4,
            *(self._switch,) * 4,
            self._add,
            self._remove,
            self._disable,
            self._restick,
            self._pay,
            self._archive,
            self._tag,
        )
        self.random.choice(changes)()
        self._settle()

    def state(self) -> FlagState:
        """Return the flag as the Admin API would show it now."""
        return FlagState(
            "flag",
            None if self.archived else "release",
            "development",
            self.enabled and not self.archived,
            self.archived,
            () if self.archived else tuple(self.strategies.values()),
            "http://unleash/flag",
        )

    def _slide(self) -> None:
        percent = self.random.choice((0, 1, 5, 10, 50, 100))
        self._update(rollout=percent, rollout_text=str(percent))

    def _restick(self) -> None:
        self._update(stickiness=self.random.choice(("userId", "requestId")))

    def _pay(self) -> None:
        self._update(payload=self.random.choice((None, {"threshold": 0.9})))

    def _disable(self) -> None:
        self._update(disabled=self.random.choice((True, False)))
        self._off_without_strategy()

    def _switch(self) -> None:
        if self.archived:
            return
        active = [each for each in self.strategies.values() if not each.disabled]
        if not self.enabled and not active:
            self._put(rollout(len(self.events) + 1000, 100, stickiness="default"))
        self.enabled = not self.enabled
        self._log(f"feature-environment-{'enabled' if self.enabled else 'disabled'}")

    def _add(self) -> None:
        if not self.archived:
            self._put(rollout(len(self.events), self.random.choice((0, 5, 50))))

    def _remove(self) -> None:
        if self.strategies and not self.archived:
            gone = self.strategies.pop(self.random.choice(list(self.strategies)))
            self._log("feature-strategy-remove", before=gone)
            self._off_without_strategy()

    def _archive(self) -> None:
        self.archived = not self.archived
        self._log("feature-archived" if self.archived else "feature-revived")
        self.enabled = False

    def _tag(self) -> None:
        self._log("feature-tagged")

    def _off_without_strategy(self) -> None:
        if self.enabled and all(each.disabled for each in self.strategies.values()):
            self.enabled = False
            self._log("feature-environment-disabled")

    def _put(self, strategy: Strategy) -> None:
        self.strategies[strategy.id] = strategy
        self._log("feature-strategy-add", after=strategy)

    def _update(self, **fields: object) -> None:
        if not self.strategies or self.archived:
            return
        before = self.strategies[self.random.choice(list(self.strategies))]
        after = replace(before, **fields)  # type: ignore[arg-type]
        self.strategies[before.id] = after
        self._log("feature-strategy-update", before=before, after=after)

    def _settle(self) -> None:
        setting = Setting.of(self.enabled and not self.archived, self.strategies.values())
        if not self.truth or self.truth[-1][0] != setting:
            self.truth.append((setting, self._now))

    def _log(
        self, type: str, before: Strategy | None = None, after: Strategy | None = None
    ) -> None:
        author = Author(self.random.choice(("ada", "bob")), by_token=False)
        number = len(self.events) + 1
        self.events.append(flag_event(number, self._now, author, type, before, after))
