"""Put together what Unleash and the running workers say of one migration."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from flags.admin import FlagEvent, FlagState
from flags.history import History
from flags.playbook import Playbook
from flags.stages import Stage
from flags.unproven import UnprovenStep, unproven_steps
from flags.worker_state import SILENT, FlagBelief, PairCounts, ShippingCounts, Workers, WorkerState

LAG_LIMIT: Final = 2.0
"""Seconds for which pairs may wait before it is worth a remark."""

SHIPPING_LAG_LIMIT: Final = 30.0
"""Seconds for which pairs may be sent in vain to their receiver before it is worth a remark."""


@dataclass(frozen=True, slots=True)
class FlagView:
    """A flag as one source shows it; None is what it does not tell."""

    enabled: bool
    percentage: float | None
    """What is set on the slider, whether the flag is on or off; None if no one slider decides."""
    stickiness: str | None

    @classmethod
    def in_unleash(cls, state: FlagState) -> Self:
        """Return the flag as the Admin API shows it; one without a strategy is on for everyone."""
        if not state.strategies and not state.archived:
            return cls(state.enabled, 100, None)
        return cls(state.enabled, state.rollout, state.stickiness)

    @classmethod
    def of_worker(cls, belief: FlagBelief) -> Self | None:
        """Return the flag as a worker sees it; None if it sees none."""
        if belief.enabled is None:
            return None
        return cls(belief.enabled, belief.rollout, belief.stickiness)

    @property
    def stage(self) -> Stage | None:
        """Return the stage; None if the percentage is unclear."""
        return Stage.of(self.enabled, self.percentage)

    def differs_from(self, other: "FlagView") -> bool:
        """Say whether requests fare differently under `other`; off is off."""
        return (self.enabled or other.enabled) and self != other

    def __str__(self) -> str:
        """Say it in a few words."""
        if not self.enabled:
            return "off"
        percentage = "?" if self.percentage is None else f"{self.percentage:g}"
        return f"{percentage} %" + (f", {self.stickiness}" if self.stickiness else "")


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of the flag that its event log holds."""

    time: datetime
    by: str
    by_token: bool
    what: str

    @classmethod
    def last(cls, events: Iterable[FlagEvent]) -> Self | None:
        """Return the newest event that bears on who answers; `events` are newest first."""
        for event in events:
            if event.bears_on_answers:
                return cls(event.time, event.by, event.by_token, event.in_words)
        return None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One running worker beside the flag that it should follow."""

    state: WorkerState
    sees: FlagView | None
    follows: bool | None
    """None where there is nothing to compare, or the provider does not tell."""
    silent: bool = False
    """True where its last heartbeat is too old: it hangs, or was stopped."""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """A migration at one moment: the flag, its last change, and the workers."""

    flag: str
    view: FlagView | None
    """As Unleash has it; without Unleash, as the workers see it if they agree."""
    stage: Stage | None
    environment: str | None = None
    url: str | None = None
    """The flag's page in the dashboard."""
    last_change: Change | None = None
    unproven: tuple[UnprovenStep, ...] = ()
    """Steps up without evidence that led to where the flag is."""
    service: str | None = None
    workers: tuple[WorkerView, ...] = ()
    not_shown: Mapping[str, str] | None = None
    """What is not shown, and why."""

    @classmethod
    def of(
        cls,
        flag: str,
        *,
        unleash: FlagState | None,
        events: Iterable[FlagEvent] = (),
        playbook: Playbook | None = None,
        workers: Workers | None = None,
        not_shown: Mapping[str, str] | None = None,
    ) -> Self:
        """Put together what could be asked; `events` is the whole log, newest first."""
        events = tuple(events)
        history = History.of(unleash, events) if unleash else None
        view = FlagView.in_unleash(unleash) if unleash else None
        running = _views(workers, view) if workers else ()
        if view is None and len({each.sees for each in running}) == 1:
            view = running[0].sees
        return cls(
            flag,
            view,
            view.stage if view else None,
            environment=unleash.environment if unleash else None,
            url=unleash.url if unleash else None,
            last_change=Change.last(events),
            unproven=unproven_steps(history, playbook) if history else (),
            service=workers.service if workers else None,
            workers=running,
            not_shown=dict(not_shown or {}),
        )

    @property
    def followed(self) -> bool | None:
        """Say whether every worker follows; None if it cannot be said of one of them."""
        follows = {each.follows for each in self.workers}
        if False in follows or self.workers_differ:
            return False
        return True if follows == {True} else None

    @property
    def workers_differ(self) -> bool:
        """Say whether some of the workers see another flag than the others."""
        return len({each.sees for each in self.workers if each.state.flag.tells}) > 1

    def as_plain(self) -> dict[str, Any]:
        """Return the status as JSON has it."""
        view = self.view
        return {
            "flag": self.flag,
            "stage": self.stage,
            "enabled": view.enabled if view else None,
            "percentage": view.percentage if view else None,
            "stickiness": view.stickiness if view else None,
            "environment": self.environment,
            "url": self.url,
            "last_change": self.last_change,
            "unproven": self.unproven,
            "service": self.service,
            "followed": self.followed,
            "workers": [
                {
                    "follows": each.follows,
                    "silent": each.silent,
                    "remarks": each.remarks,
                    "state": each.state,
                }
                for each in self.workers
            ],
            "not_shown": dict(self.not_shown or {}),
        }


def _views(workers: Workers, flag: FlagView | None) -> tuple[WorkerView, ...]:
    views = []
    for state in workers.workers:
        sees = FlagView.of_worker(state.flag)
        follows = _follows(state.flag, sees, flag)
        silence = workers.at - state.heartbeat
        remarks = _flag_remarks(state.flag, sees, flag, follows)
        if silent := silence > SILENT:
            remarks.insert(
                0, f"is silent for {silence.total_seconds():.0f} s: it hangs, or stopped"
            )
        views.append(
            WorkerView(
                state,
                sees,
                follows,
                silent,
                (*remarks, *_pair_remarks(state.pairs), *_shipping_remarks(state.shipping)),
            )
        )
    return tuple(views)


def _follows(belief: FlagBelief, sees: FlagView | None, flag: FlagView | None) -> bool | None:
    if flag is None or flag.stage is None or not belief.tells:
        return None
    return sees is not None and not sees.differs_from(flag)


def _flag_remarks(
    belief: FlagBelief, sees: FlagView | None, flag: FlagView | None, follows: bool | None
) -> list[str]:
    remarks = []
    if follows is False:
        saw = f"sees {sees}" if sees else "sees no flag, so the primary answers"
        remarks.append(f"has not followed: it {saw}; the flag is {flag}")
        if belief.source:
            remarks.append(f"reads its flags from {belief.source}")
    if not belief.tells:
        remarks.append(f"its provider {belief.provider} does not tell what it sees")
    if belief.state != "ready":
        remarks.append(f"its flags are {belief.state.replace('_', ' ')}")
    if belief.error:
        remarks.append(belief.error)
    remarks.extend(belief.warnings)
    for output, threshold in belief.thresholds.items():
        remarks.append(f"the flag sets the threshold of {output}: {threshold:g}")
    return remarks


def _pair_remarks(pairs: PairCounts) -> Iterator[str]:
    if pairs.lag_seconds > LAG_LIMIT:
        yield f"{pairs.waiting:,} pairs wait for the disk, the oldest for {pairs.lag_seconds:.0f} s"
    for reason, count in pairs.dropped.items():
        yield f"{count:,} pairs dropped: {reason}"


def _shipping_remarks(shipping: ShippingCounts | None) -> Iterator[str]:
    if shipping is None:
        return
    if shipping.lag_seconds > SHIPPING_LAG_LIMIT:
        yield (
            f"{shipping.waiting_bytes:,} bytes of pairs wait for {shipping.destination}, sent in "
            f"vain for {shipping.lag_seconds:.0f} s"
        )
    for reason, count in shipping.rejected.items():
        yield f"{count:,} spans not taken by {shipping.destination}: {reason}"
