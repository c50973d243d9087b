"""The flag as the workers of one service see it, with remarks on differences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from flags.monitoring.worker_state import (
    SILENT,
    CandidateState,
    PairCounts,
    ShippingCounts,
    WorkerFlag,
    Workers,
    WorkerState,
)
from flags.playbook.stages import Stage

LAG_LIMIT: Final = 2.0
"""Seconds for which pairs may wait before it is worth a remark."""

SHIPPING_LAG_LIMIT: Final = 30.0
"""Seconds for which pairs may be sent in vain to their receiver before it is worth a remark."""


@dataclass(frozen=True, slots=True)
class FlagView:
    """The state of a flag, in Unleash or as a worker sees it; None if unknown."""

    enabled: bool
    rollout: float | None
    """The rollout, whether the flag is on or off; None without a single rollout."""
    stickiness: str | None

    @classmethod
    def of_worker(cls, seen_flag: WorkerFlag) -> Self | None:
        """Return the flag as a worker sees it; None if the worker does not see it."""
        if seen_flag.enabled is None:
            return None
        return cls(seen_flag.enabled, seen_flag.rollout, seen_flag.stickiness)

    @property
    def stage(self) -> Stage | None:
        """Return the stage; None if the rollout is unclear."""
        return Stage.of(self.enabled, self.rollout)

    def differs_from(self, other: "FlagView") -> bool:
        """Say whether `other` may answer requests differently; all flags that are off are equal."""
        return (self.enabled or other.enabled) and self != other

    def __str__(self) -> str:
        """Return the state in a few words."""
        if not self.enabled:
            return "off"
        rollout = "?" if self.rollout is None else f"{self.rollout:g}"
        return f"{rollout} %" + (f", {self.stickiness}" if self.stickiness else "")


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One running worker, compared with the flag that it should follow."""

    state: WorkerState
    sees: FlagView | None
    follows: bool | None
    """None if the flag is unknown, or the provider does not show its state."""
    silent: bool = False
    """Whether its last heartbeat is too old: it hangs, or was stopped."""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceView:
    """The running workers of one service, compared with the flag that they should follow."""

    flag: FlagView | None
    """The given flag; if none was given, the flag as the workers see it, if they agree."""
    workers: tuple[WorkerView, ...] = ()

    @classmethod
    def of(cls, workers: Workers | None, flag: FlagView | None = None) -> Self:
        """Compare the workers with `flag`; with each other if it is None."""
        running = _views(workers, flag) if workers else ()
        if flag is None and len({each.sees for each in running}) == 1:
            flag = running[0].sees
        return cls(flag, running)

    @property
    def followed(self) -> bool | None:
        """Say whether every worker follows; None if that is unknown for any worker."""
        follows = {each.follows for each in self.workers}
        if False in follows or self.workers_differ:
            return False
        return True if follows == {True} else None

    @property
    def workers_differ(self) -> bool:
        """Say whether the workers see different states of the flag."""
        return len({each.sees for each in self.workers if each.state.flag.shows_flag}) > 1


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
                (
                    *remarks,
                    *_candidate_remarks(state.candidate),
                    *_pair_remarks(state.pairs),
                    *_shipping_remarks(state.shipping),
                ),
            )
        )
    return tuple(views)


def _follows(seen_flag: WorkerFlag, sees: FlagView | None, flag: FlagView | None) -> bool | None:
    if flag is None or flag.stage is None or not seen_flag.shows_flag:
        return None
    return sees is not None and not sees.differs_from(flag)


def _flag_remarks(
    seen_flag: WorkerFlag, sees: FlagView | None, flag: FlagView | None, follows: bool | None
) -> list[str]:
    remarks = []
    if follows is False:
        saw = f"sees {sees}" if sees else "sees no flag, so the primary answers"
        remarks.append(f"has not followed: it {saw}; the flag is {flag}")
        if seen_flag.source:
            remarks.append(f"reads its flags from {seen_flag.source}")
    if not seen_flag.shows_flag:
        remarks.append(f"its provider {seen_flag.provider} does not show the flag")
    if seen_flag.state != "ready":
        remarks.append(f"its flags are {seen_flag.state.replace('_', ' ')}")
    if seen_flag.error:
        remarks.append(seen_flag.error)
    remarks.extend(seen_flag.warnings)
    for output, threshold in seen_flag.thresholds.items():
        remarks.append(f"the flag sets the threshold of {output}: {threshold:g}")
    return remarks


def _candidate_remarks(candidate: CandidateState | None) -> Iterator[str]:
    if candidate is not None and candidate.state != "ready":
        why = f": {candidate.why}" if candidate.why else ""
        yield f"its candidate {candidate.url} is not called ({candidate.state}){why}"


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
