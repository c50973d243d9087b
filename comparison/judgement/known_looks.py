"""The evidence of earlier looks of this process, reused while the files stay the same.

Pairs, labels and outcomes are in files. While no file changes, evidence depends only on the time of
the look: on the time since the last pair, and on which pairs are old enough to count. So a look at
unchanged files reuses the evidence of the previous look, and queries no engine.
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
    """The evidence of a look, without operational alarms, and its checks."""

    evidence: Evidence
    until: datetime
    """Time from which on the same files may give other evidence."""
    checks: CachedChecks

    @classmethod
    def of(cls, evidence: Evidence, plan: Playbook, step: Step, until: datetime) -> "KnownLook":
        """Run the checks on the evidence of a look, which is valid until `until`."""
        return cls(evidence, until, CachedChecks.of(evidence, plan, step))

    def at(self, now: datetime, plan: Playbook, step: Step) -> "KnownLook | None":
        """Return the result of a later look at the same files; None: the pairs must be counted."""
        window = self.evidence.window
        if not window.until <= now < self.until:
            return None
        # All pairs are earlier than the known look, so its window ends with a gap.
        *gaps, last = window.gaps
        window = replace(window, until=now, gaps=(*gaps, Gap(last.begin, now)))
        evidence = replace(self.evidence, window=window)
        checks = CachedChecks.of(evidence, plan, step, self.checks)
        return replace(self, evidence=evidence, checks=checks)


@dataclass(slots=True)
class KnownLooks:
    """The last look at each step; all are dropped when an input of the evidence changes."""

    memory: KeptMemory = field(default_factory=KeptMemory)
    """The counts of earlier looks, to which the counts of new files are added."""
    _inputs: object = None
    _looks: dict[tuple[str, datetime], KnownLook] = field(default_factory=dict)

    def set_inputs(self, inputs: object) -> None:
        """Drop all looks unless `inputs` equals the previous inputs; None: they are unknown.

        `inputs` describes everything besides the time that the evidence depends on.
        """
        if inputs is None or inputs != self._inputs:
            self._looks.clear()
        self._inputs = inputs

    def at(self, position: StepPosition, plan: Playbook, now: datetime) -> KnownLook | None:
        """Return the known look at a step; None if the pairs must be counted."""
        look = self._looks.get((position.step.name, position.since))
        return look and look.at(now, plan, position.step)

    def keep(self, position: StepPosition, look: KnownLook) -> None:
        """Keep a look, unless its inputs are unknown."""
        if self._inputs is not None:
            self._looks[position.step.name, position.since] = look


def unchanged_until(
    flag_pairs: FlagPairs, additions: Additions, plan: Playbook, now: datetime
) -> datetime:
    """Return when the same files give other evidence, apart from the end of its window."""
    if not isinstance(flag_pairs.source, DatedPairs):
        return now
    return min(_changes(flag_pairs, flag_pairs.source, additions, plan, now), default=_NEVER)


def _changes(
    flag_pairs: FlagPairs,
    dated: DatedPairs,
    additions: Additions,
    plan: Playbook,
    now: datetime,
) -> Iterator[datetime]:
    """Yield times from `now` on at which a pair, label or outcome starts or stops to count."""
    if dated.ahead is not None:
        yield dated.ahead
    accounting = dated.accounting
    if accounting is not None and (end := accounting.next_unclosed_record(now)) is not None:
        yield end
    delays = [plan.label_cut_off] if additions.labels else []
    for each in known_outcomes(flag_pairs, additions):
        plans = (plan.outcomes.get(name) or OutcomePlan() for name in each.metrics)
        delays += [metric.cut_off for metric in plans]
        later = each.frame["time"].dropna()
        yield from _moments(later[later >= nanoseconds(now)].tolist(), timedelta())
        yield from (end for end in _moments(each.unclosed_records, SILENCE) if end >= now)
    for delay in delays:
        if dated.last >= cut_off(now, delay):  # else all pairs are old enough
            yield max(next_cut_off(now, delay), next_cut_off(dated.first + delay, delay))


def _moments(times: Iterable[int], after: timedelta) -> Iterator[datetime]:
    """Convert nanoseconds since 1970 to times, and add `after` to each."""
    yield from (_EPOCH + timedelta(microseconds=each // 1000) + after for each in times)
