"""Checks of parts of an output's pairs: segments, the last days, and pairs without a label.

Figures over all pairs hide a difference in a small part: a segment that is answered wrongly, or a
candidate that broke yesterday. So each part is checked by itself. The few pairs of a part can
seldom prove that it is within a limit, but they can refute it: these checks hold if a part surely
is beyond a limit. They never roll back.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from flags.gate.evidence import AnswerEvidence, AnswerPart, PartRole, UnitShare
from flags.gate.plain_check import plain
from flags.gate.sequences import ConfidenceSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage


@dataclass(frozen=True, slots=True)
class PartLimit:
    """The limits of a figure of a part: the same as over all pairs."""

    figure: str
    """Key of `AnswerPart.levels`."""
    sequence: Callable[[tuple[UnitShare, ...]], ConfidenceSequence]
    wording: Wording
    high: float | None = None
    low: float | None = None
    is_share: bool = False
    """Whether the figure is a share: then the lower limit of a segment is a power of `low`."""
    is_quality: bool = False
    """Whether the figure comes from labels, so that labels do not excuse it."""

    def bounds(self, factor: float) -> tuple[float | None, float | None]:
        """Return the limits (low, high) if a difference may be `factor` times as large."""
        high = None if self.high is None else self.high * factor
        if self.low is None:
            return None, high
        return (self.low**factor if self.is_share else self.low * factor), high

    def beyond(self, part: AnswerPart, alpha: float, factor: float) -> float | None:
        """Return the limit that a part surely is beyond, None if there is none."""
        sequence = self.sequence(part.levels.get(self.figure, ()))
        low, high = self.bounds(factor)
        if sequence.value is None:
            return None
        if high is not None and sequence.above(high, alpha / 2):
            return high
        if low is not None and sequence.below(low, alpha / 2):
            return low
        return None


@dataclass(frozen=True, slots=True)
class Quality:
    """The figure by which labels show that the candidate is as good in a part."""

    limit: PartLimit
    shown_by: str
    """Key of `AnswerPart.levels` whose interval must be within the limits."""
    least: int
    """Labels that are needed at least."""


@dataclass(frozen=True, slots=True)
class _Excess:
    """A part whose figure is beyond a limit."""

    part: AnswerPart
    limit: PartLimit
    bound: float
    alpha: float

    @property
    def _sequence(self) -> ConfidenceSequence:
        return self.limit.sequence(self.part.levels.get(self.limit.figure, ()))

    @property
    def size(self) -> float:
        """Return how far the figure is beyond the limit, as a ratio, to sort different figures."""
        value = abs(self._sequence.value or 0.0)
        near, far = (value, self.bound) if self.limit.is_share else (self.bound, value)
        return far / abs(near) if near else math.inf

    def reason(self) -> str:
        """Return the figure, its limit and interval in words."""
        words, sequence = self.limit.wording, self._sequence
        low, high = sequence.interval(self.alpha)
        words = words.with_digits((sequence.value, low, high), (self.bound,))
        n = sum(each.units for each in self.part.levels[self.limit.figure])
        return (
            f"{words.figure(sequence.value or 0.0)}, limit {words.number(self.bound)}{words.unit} "
            f"({words.interval(low, high, 1 - self.alpha, n)})"
        )


def part_checks(
    answer: AnswerEvidence,
    playbook: Playbook,
    step: Step,
    limits: Sequence[PartLimit],
    quality: Quality | None = None,
    *,
    quality_shown: bool = False,
) -> Iterator[Check]:
    """Yield the checks that no segment and no recent day is surely beyond the limits.

    `quality_shown`: labels show over all pairs that the candidate is as good. Then a difference in
    a part matters only if labels do not show the same for that part.
    """
    if step.stage is Stage.DEPRECATION or not answer.parts:
        return
    every = _Parts(answer, playbook, step, tuple(limits), quality, quality_shown)
    if segments := every.of(PartRole.SEGMENT):
        yield every.segments(segments)
    yield every.recent(every.of(PartRole.RECENT))
    if quality_shown and (unlabelled := every.unlabelled()) is not None:
        yield unlabelled


@dataclass(frozen=True, slots=True)
class _Parts:
    answer: AnswerEvidence
    playbook: Playbook
    step: Step
    limits: tuple[PartLimit, ...]
    quality: Quality | None
    quality_shown: bool

    def of(self, role: PartRole) -> list[AnswerPart]:
        """Return the parts of a role; of segments, the checked ones."""
        checked = self.playbook.segments
        return [
            each
            for each in self.answer.parts
            if each.role is role
            and (role is not PartRole.SEGMENT or checked is None or each.segment in checked)
        ]

    def _gate(self, part: AnswerPart) -> Gate:
        segment = part.segment if part.role is PartRole.SEGMENT else None
        return self.playbook.gate_of(self.step, output=self.answer.name, segment=segment)

    def segments(self, parts: list[AnswerPart]) -> Check:
        """Compare each value of a segment with limits that are `segment_factor` times as wide."""
        alpha = self.playbook.error_rate / max(1, len(parts) * len(self.limits))
        beyond = []
        for part in parts:
            factor = self._gate(part).advance.segment_factor
            for limit in self.limits:
                bound = limit.beyond(part, alpha, factor)
                excused = not limit.is_quality and self._labels_show(part, factor)
                if bound is not None and not excused and self._is_local(limit, factor):
                    beyond.append(_Excess(part, limit, bound, alpha))
        return self._check("segment_difference", beyond, len(parts), "no segment is")

    def _is_local(self, limit: PartLimit, factor: float) -> bool:
        """Say whether only parts are beyond the limit: for all pairs, another check says so.

        If labels excuse the difference over all pairs, each part needs its own excuse.
        """
        whole = next((each for each in self.answer.parts if each.role is PartRole.WHOLE), None)
        if whole is None or (self.quality_shown and not limit.is_quality):
            return True
        return limit.beyond(whole, self.playbook.error_rate, factor) is None

    def _labels_show(self, part: AnswerPart, factor: float) -> bool:
        """Say whether the labels of a part prove that the candidate is as good there."""
        if self.quality is None or not self.quality_shown:
            return False
        shares = part.levels.get(self.quality.shown_by, ())
        if sum(each.units for each in shares) < self.quality.least:
            return False
        sequence, alpha = self.quality.limit.sequence(shares), self.playbook.error_rate
        low, high = self.quality.limit.bounds(factor)
        return (low is None or sequence.above(low, alpha / 2)) and (
            high is None or sequence.below(high, alpha / 2)
        )

    def recent(self, parts: list[AnswerPart]) -> Check:
        """Check that the last day, three days and week do not contradict the whole window.

        If labels show that the candidate is as good, a recent difference matters only if it surely
        is larger than on the labelled pairs.
        """
        alpha = self.playbook.error_rate / max(1, (len(parts) + 1) * len(self.limits))
        before = next((each for each in self.answer.parts if each.role is PartRole.LABELLED), None)
        beyond = self._early(alpha)
        if beyond:
            return self._check("recent_difference", beyond, len(parts), "")
        for part in parts:
            for limit in self.limits:
                bound = limit.beyond(part, alpha, 1.0)
                if bound is None or not self._is_local(limit, 1.0):
                    continue
                if (
                    self.quality_shown
                    and not limit.is_quality
                    and not _differ(limit, part, before, alpha)
                ):
                    continue
                beyond.append(_Excess(part, limit, bound, alpha))
        return self._check("recent_difference", beyond, len(parts), "no recent day is")

    def _early(self, alpha: float) -> list[_Excess]:
        """Return the quality figures beyond a limit by all labels, if there are early ones.

        Labels of young pairs may be a selection, so they prove nothing in favour of a side.
        """
        whole = self.of(PartRole.WHOLE)
        if not self.answer.early_labels.count or not whole:
            return []
        return [
            _Excess(whole[0], replace(limit, wording=_early_words(limit.wording)), bound, alpha)
            for limit in self.limits
            if limit.is_quality and (bound := limit.beyond(whole[0], alpha, 1.0)) is not None
        ]

    def unlabelled(self) -> Check | None:
        """Check that the sides do not differ more on pairs without a label than on labelled ones.

        Labels that exist only where the candidate is good would excuse a difference elsewhere.
        """
        known, unknown = (
            next((each for each in self.answer.parts if each.role is role), None)
            for role in (PartRole.LABELLED, PartRole.UNLABELLED)
        )
        if known is None or unknown is None:
            return None
        alpha = self.playbook.error_rate / max(1, len(self.limits))
        beyond = [
            _Excess(unknown, limit, bound, alpha)
            for limit in self.limits
            if not limit.is_quality
            and (bound := limit.beyond(unknown, alpha, 1.0)) is not None
            and _differ(limit, unknown, known, alpha)
        ]
        words = ": the sides differ otherwise where there are labels, so those say nothing of these"
        check = self._check("unlabelled_difference", beyond, 1, "pairs without a label are not")
        return replace(check, reason=check.reason + words) if beyond else check

    def _check(self, name: str, beyond: list[_Excess], looked_at: int, none: str) -> Check:
        """Return the check, with the part that is furthest beyond its limit first."""
        n = self.answer.paired
        if not beyond:
            check = plain(name, Outcome.PASS, looked_at, f"{none} surely beyond the limits")
            return replace(check, output=self.answer.name, required=False)
        beyond.sort(key=lambda each: -each.size)
        parts = list(dict.fromkeys(each.part.name for each in beyond))
        first = beyond[0]
        more = f"; so are {_listed(parts[1:])}" if parts[1:] else ""
        check = plain(name, Outcome.FAIL, n, first.reason() + more)
        named = None if first.part.role is PartRole.WHOLE else first.part.name
        return replace(check, output=self.answer.name, segment=named)


def _early_words(wording: Wording) -> Wording:
    return replace(wording, what=f"by all labels, those of young pairs too, {wording.what}")


_NAMED: Final = 3


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _differ(limit: PartLimit, part: AnswerPart, other: AnswerPart | None, alpha: float) -> bool:
    """Say whether a part is surely farther beyond the limit's side than another part."""
    if other is None:
        return True
    here, there = (limit.sequence(each.levels.get(limit.figure, ())) for each in (part, other))
    if here.value is None or there.value is None:
        return True
    (low, high), (was_low, was_high) = here.interval(alpha), there.interval(alpha)
    return (limit.high is not None and low > was_high) or (limit.low is not None and high < was_low)
