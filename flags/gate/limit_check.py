"""A check that compares a confidence sequence with limits: within, beyond, or not known yet."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from flags.gate.limits import Bounds, Limits
from flags.gate.number_format import level, plural
from flags.gate.sequences import ConfidenceSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording

FEW_UNITS: Final = 30
"""With fewer units, the verdict says that they show nothing about other units."""

_UNCONFIRMED: Final = (
    "each minute counted once does not show it, and no pair names a unit: it may be a few bursts "
    "of alike requests, which `migrate(unit=...)` tells apart"
)

_BY_MINUTE: Final = "each minute counted once, since no pair names a unit (`migrate(unit=...)`)"

_MOST: Final = 2.0**10
"""Largest multiple of the present data that is projected: more would say nothing useful."""


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """The check whether a figure is below `high` and above `low` (None: no limit on that side)."""

    name: str
    sequence: ConfidenceSequence
    wording: Wording
    n: int
    """Sample size of the figure."""
    available: int
    """All pairs or labels, of which n are a part; `needed` is counted in them."""
    high: Bounds | None = None
    low: Bounds | None = None
    output: str | None = None
    segment: str | None = None
    rolls_back: bool = False
    required: bool = True
    by_unit: ConfidenceSequence | None = None
    """The same figure counted by unit. FAIL needs this one only, PASS needs both. None: each
    request is a unit."""
    units: int = 0
    """Number of units in `by_unit`; 0 if no pair names a unit."""
    once: bool = False
    """Whether a unit counts once in the window, so that its later requests add no evidence."""
    fails_by: ConfidenceSequence | None = None
    """The figure that decides about FAIL if `by_unit` makes an assumption about units."""
    confirmed_by: ConfidenceSequence | None = None
    """The figure by minute, which a FAIL needs as well if no pair names a unit."""
    obstacle: str = ""
    """Why the data cannot show a FAIL, so that the check is open in place of it."""

    def answer(self, error_rate: float, share: float | None = None) -> Check:
        """Return the check: PASS at `error_rate`, FAIL at `share`, both over all looks.

        `share` is this check's part of the error rate. ADVANCE needs every PASS, so each may use
        the whole error rate (an intersection-union test). One FAIL is enough for a ROLLBACK, so the
        checks divide the error rate.
        """
        share = share or error_rate
        value = self.sequence.value
        if value is None:
            missing = f"{self.name.replace('_', ' ')}: no data yet"
            return self._check(Outcome.INCONCLUSIVE, error_rate, missing)
        beyond = self._limits.exceeded(self._failing, share, "fail")
        if beyond is not None:
            return self._failed(beyond, share)
        if not self._limits.contain(self.sequence, error_rate):
            return self._undecided(value, error_rate, share)
        if self.by_unit is None or self._limits.contain(self.by_unit, error_rate):
            return self._check(Outcome.PASS, error_rate)
        by_units = self._by_units(self.by_unit)
        check = by_units._undecided(self.by_unit.value or 0.0, error_rate, share)
        if self.units or self.confirmed_by is None:
            return check
        return replace(check, reason=f"{check.reason}; {_BY_MINUTE}")

    def _failed(self, limit: float, share: float) -> Check:
        check = self._by_units(self._failing)._check(Outcome.FAIL, share, limit=limit)
        obstacle = self.obstacle
        if not obstacle and self.confirmed_by is not None:
            is_confirmed = self._limits.exceeded(self.confirmed_by, share, "fail") is not None
            obstacle = "" if is_confirmed else _UNCONFIRMED
        if not obstacle:
            return check
        reason = f"{check.reason}, but {obstacle}"
        return replace(
            check,
            outcome=Outcome.INCONCLUSIVE,
            reason=reason,
            required=True,
            beyond_advance_limit=True,
        )

    def _by_units(self, sequence: ConfidenceSequence) -> "LimitCheck":
        """Return the check of `sequence` alone, a figure by unit."""
        if not self.units:
            return replace(self, sequence=sequence, by_unit=None, fails_by=self._failing)
        wording = replace(self.wording, counted="units")
        return replace(
            self,
            sequence=sequence,
            wording=wording,
            n=self.units,
            by_unit=None,
            fails_by=self._failing,
        )

    @property
    def _limits(self) -> Limits:
        return Limits(self.high, self.low)

    @property
    def _failing(self) -> ConfidenceSequence:
        return self.fails_by or self.by_unit or self.sequence

    def _undecided(self, value: float, error_rate: float, share: float) -> Check:
        surely = self._limits.exceeded(self._failing, error_rate, "advance") is not None
        to_pass, to_fail = self._projected(value, error_rate, share)
        if surely:
            note = self._beyond_note(value, error_rate, share) + self._to_fail_note(to_fail)
        else:
            note = self._needed_note(value, to_pass, to_fail)
            if self._limits.exceeded(self.sequence, error_rate, "advance"):
                by_unit = self._unit_note(error_rate)
                note = f": {by_unit}{note}" if by_unit else note
        if self._needs_units and self.units < FEW_UNITS:
            to_pass = None
        shown = self._by_units(self._failing) if surely and self.by_unit is not None else self
        limit = None if surely else self._limits.open_one(self.sequence, value, error_rate)
        check = shown._check(
            Outcome.INCONCLUSIVE, error_rate, limit=limit, note=note, needed=to_pass
        )
        return replace(check, beyond_advance_limit=surely)

    @property
    def _needs_units(self) -> bool:
        """Say whether only more units add evidence, and not more requests of the same units."""
        return self.once and self.by_unit is None and self.units > 0

    def _projected(
        self, value: float, error_rate: float, share: float
    ) -> tuple[int | None, int | None]:
        """Return about how many more pairs or labels let the check pass, and let it fail."""
        limits, failing = self._limits, self._failing
        if self.required and limits.is_within(value):
            return self._more(self.sequence, lambda each: limits.contain(each, error_rate)), None
        if self.required and limits.is_beyond(value):
            return None, self._more(
                failing, lambda each: limits.exceeded(each, share, "fail") is not None
            )
        return None, None

    def _needed_note(self, value: float, to_pass: int | None, to_fail: int | None) -> str:
        """Say how many more pairs or labels decide the check, or that they will not."""
        wanted = self.wording.wanted
        if self._needs_units:
            return self._needed_units_note(to_fail if to_pass is None else to_pass)
        if to_pass is not None:
            return f": about {to_pass:,} more {wanted} needed at the present rates"
        if not self.required:
            return ""
        limits = self._limits
        if limits.is_beyond(value):
            beyond = self._rollback_limit(value) if self.rolls_back else "it"
            return f": beyond {beyond} so far{self._to_fail_note(to_fail)}"
        if limits.is_within(value):
            return f": more {wanted} at these rates will hardly show it"
        return f": more {wanted} at these rates will not bring it within the limit"

    def _beyond_note(self, value: float, error_rate: float, share: float) -> str:
        """Say that the figure is beyond the limit, but not yet beyond the rollback limit.

        If the interval of the check is beyond the rollback limit too, add the level that FAIL
        needs, which is higher.
        """
        is_beyond = self._limits.exceeded(self._failing, error_rate, "fail") is not None
        needed_level = f" at {level(1 - share)}" if is_beyond else ""
        return f": surely beyond it, not yet beyond {self._rollback_limit(value)}{needed_level}"

    def _to_fail_note(self, to_fail: int | None) -> str:
        return (
            ""
            if to_fail is None
            else f", which about {to_fail:,} more {self.wording.wanted} would show"
        )

    def _needed_units_note(self, needed: int | None) -> str:
        """Say how many more units are needed: more requests of the same units add nothing."""
        few = f"{plural(self.units, 'unit')} show nothing about others"
        if needed is None:
            return f": {few}" if self.units < FEW_UNITS else ""
        more = _rounded_up(needed / self.available * self.units)
        return f": about {more:,} more units needed, and not more requests of the same"

    def _unit_note(self, error_rate: float) -> str:
        """Return the figure by unit, or with each request id once if no pair names a unit."""
        if self.by_unit is None:
            return ""
        counted = self._failing if self.units else self.by_unit
        value, (low, high) = counted.value, counted.interval(error_rate)
        words = self.wording.with_digits((value, low, high), self._limits.values)
        found = "nothing" if value is None else f"{words.number(value)}{words.unit}"
        if not self.units:
            bounds = f"{level(1 - error_rate)} CI {words.number(low)} to {words.number(high)}"
            is_another = value is not None and value != self.sequence.value
            once = "request id" if self.confirmed_by is None else "minute"
            return f"with each {once} once {found} ({bounds})" if is_another else ""
        by_unit = replace(words, counted="units")
        return f"by unit {found} ({by_unit.interval(low, high, 1 - error_rate, self.units)})"

    def _rollback_limit(self, value: float) -> str:
        bounds = self._limits.nearest(value)
        return f"the rollback limit {self.wording.number(bounds.fail)}{self.wording.unit}"

    def _more(
        self, sequence: ConfidenceSequence, decided: Callable[[ConfidenceSequence], bool]
    ) -> int | None:
        """Return about how many more pairs or labels it takes until `decided`; None if too many."""
        low, high = 1.0, 2.0
        while not decided(sequence.scaled(high)):
            low, high = high, 2 * high
            if high > _MOST:
                return None
        while high > 1.02 * low:
            middle = math.sqrt(low * high)
            if decided(sequence.scaled(middle)):
                high = middle
            else:
                low = middle
        return _rounded_up((high - 1) * self.available)

    def _check(
        self,
        outcome: Outcome,
        alpha: float,
        missing: str = "",
        limit: float | None = None,
        note: str = "",
        needed: int | None = None,
    ) -> Check:
        value, words = self.sequence.value, self.wording
        low: float | None = None
        high: float | None = None
        reason = missing
        if value is not None:
            word = "rollback limit" if outcome is Outcome.FAIL and self.rolls_back else "limit"
            limit = self._limits.nearest(value).advance if limit is None else limit
            low, high = self.sequence.interval(alpha)
            words = words.with_digits((value, low, high), (limit, *self._limits.values))
            reason = (
                f"{words.figure(value)}, {word} {words.number(limit)}{words.unit} "
                f"({words.interval(low, high, 1 - alpha, self.n)}){note}"
            )
        return Check(
            self.name,
            self.output,
            self.segment,
            outcome,
            value,
            low,
            high,
            limit,
            self.n,
            reason,
            confidence=None if value is None else 1 - alpha,
            rolls_back=self.rolls_back,
            required=self.required,
            more_needed=needed,
        )


def _rounded_up(number: float) -> int:
    """Round up to two significant digits."""
    size = 10.0 ** max(0, math.floor(math.log10(max(1.0, number))) - 1)
    return max(1, round(math.ceil(number / size) * size))
