"""What the looks of this process found, for as long as it stays the same.

Pairs, labels and outcomes are in files. While none of these changes, evidence depends on the time
of the look alone: how long ago the last pair was, and what has become old enough to count. So a
look at unchanged files takes the evidence of the one before, and asks no engine.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from comparison.counts.drawn.cut_off import cut_off, next_cut_off
from comparison.engines.clocks import DatedPairs
from comparison.engines.kept.memory import KeptMemory
from comparison.engines.tables import nanoseconds
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.outcomes import SILENCE, known_outcomes
from flags.gate.decide import CachedChecks
from flags.gate.evidence import Evidence, Gap
from flags.operate.current_step import StepPosition
from flags.playbook.model import Playbook, Step
from flags.playbook.outcomes import OutcomePlan

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KnownLook:
    """Hold the evidence of a look, without operational alarms, and its checks."""

    evidence: Evidence
    until: datetime
    """From when on the same files may make another."""
    checks: CachedChecks

    @classmethod
    def of(cls, evidence: Evidence, plan: Playbook, step: Step, until: datetime) -> "KnownLook":
        """Take the evidence of a look, which stays as it is until some time."""
        return cls(evidence, until, CachedChecks.of(evidence, plan, step))

    def at(self, now: datetime, plan: Playbook, step: Step) -> "KnownLook | None":
        """Return what a later look at the same files finds; None if that must be counted."""
        window = self.evidence.window
        if not window.until <= now < self.until:
            return None
        # Every pair is earlier than this look was, so the window ended without pairs.
        *gaps, last = window.gaps
        window = replace(window, until=now, gaps=(*gaps, Gap(last.begin, now)))
        evidence = replace(self.evidence, window=window)
        checks = CachedChecks.of(evidence, plan, step, self.checks)
        return replace(self, evidence=evidence, checks=checks)


@dataclass(slots=True)
class KnownLooks:
    """Hold the last look at each step; all are forgotten once they are told something else."""

    memory: KeptMemory = field(default_factory=KeptMemory)
    """What was counted, to which new files are added."""
    _told: object = None
    _looks: dict[tuple[str, datetime], KnownLook] = field(default_factory=dict)

    def hear(self, told: object) -> None:
        """Forget all looks unless `told`, all that evidence is taken from, is as before."""
        if told is None or told != self._told:
            self._looks.clear()
        self._told = told

    def at(self, position: StepPosition, plan: Playbook, now: datetime) -> KnownLook | None:
        """Return what is known of a step; None if it must be counted."""
        found = self._looks.get((position.step.name, position.since))
        return found and found.at(now, plan, position.step)

    def keep(self, position: StepPosition, look: KnownLook) -> None:
        """Keep a look, unless what it was taken from is unknown."""
        if self._told is not None:
            self._looks[position.step.name, position.since] = look


def unchanged_until(
    found: FlagPairs, additions: Additions, plan: Playbook, now: datetime
) -> datetime:
    """Return until when the same files make the same evidence, but for the end of its window."""
    if not isinstance(found.source, DatedPairs):
        return now
    return min(_changes(found, found.source, additions, plan, now), default=_NEVER)


def _changes(
    found: FlagPairs,
    dated: DatedPairs,
    additions: Additions,
    plan: Playbook,
    now: datetime,
) -> Iterator[datetime]:
    """Yield times from `now` on at which something begins to count, or counts no more."""
    if dated.ahead is not None:
        yield dated.ahead
    accounting = dated.accounting
    if accounting is not None and (end := accounting.next_open_end(now)) is not None:
        yield end
    delays = [plan.label_cut_off] if additions.labels else []
    for each in known_outcomes(found, additions):
        plans = (plan.outcomes.get(name) or OutcomePlan() for name in each.metrics)
        delays += [metric.cut_off for metric in plans]
        later = each.frame["time"].dropna()
        yield from _moments(later[later >= nanoseconds(now)].tolist(), timedelta())
        yield from (end for end in _moments(each.open_ends, SILENCE) if end >= now)
    for delay in delays:
        if dated.last >= cut_off(now, delay):  # else all pairs are old enough
            yield max(next_cut_off(now, delay), next_cut_off(dated.first + delay, delay))


def _moments(times: Iterable[int], after: timedelta) -> Iterator[datetime]:
    """Yield nanoseconds since 1970 as times, and so long after them."""
    yield from (_EPOCH + timedelta(microseconds=each // 1000) + after for each in times)
