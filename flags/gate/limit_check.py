"""A confidence sequence compared with a limit: within it, beyond it, or not known yet."""

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
"""Units below which the verdict says that they prove nothing about units."""

_UNCONFIRMED: Final = (
    "each minute counted once does not show it, and no pair names a unit: it may be a few bursts "
    "of alike requests, which `migrate(unit=...)` tells apart"
)

_MOST: Final = 2.0**10
"""Times the present data beyond which it is no use to say how much more is needed."""


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """Ask whether a figure is below `high` and above `low` (None: no limit on that side)."""

    name: str
    sequence: ConfidenceSequence
    wording: Wording
    n: int
    """What the figure rests on."""
    available: int
    """Pairs or labels of which the figure's n are a part: what `needed` counts."""
    high: Bounds | None = None
    low: Bounds | None = None
    output: str | None = None
    segment: str | None = None
    rolls_back: bool = False
    required: bool = True
    by_unit: ConfidenceSequence | None = None
    """The same figure by unit: only that fails, and both must pass; None: requests are units."""
    units: int = 0
    """How many units `by_unit` rests on."""
    once: bool = False
    """Whether a unit counts once, however long it is seen: its later requests show nothing more."""
    fails_by: ConfidenceSequence | None = None
    """Of units counted so that nothing is assumed of them, where `by_unit` assumes something."""
    confirmed_by: ConfidenceSequence | None = None
    """Minutes, where no unit is named: a failure must be seen by them too."""
    unfit: str = ""
    """Why what it rests on cannot fail it: then it is open in place of that."""

    def answer(self, error_rate: float, share: float | None = None) -> Check:
        """Return the check: PASS at `error_rate`, FAIL at `share` of it, over all looks each.

        ADVANCE needs every PASS, so each may use the whole error rate (an intersection-union test);
        any FAIL is enough for a ROLLBACK, so these share it.
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
        return self._of_units(self.by_unit)._undecided(self.by_unit.value or 0.0, error_rate, share)

    def _failed(self, limit: float, share: float) -> Check:
        check = self._of_units(self._failing)._check(Outcome.FAIL, share, limit=limit)
        why = self.unfit
        if not why and self.confirmed_by is not None:
            is_shown = self._limits.exceeded(self.confirmed_by, share, "fail") is not None
            why = "" if is_shown else _UNCONFIRMED
        if not why:
            return check
        reason = f"{check.reason}, but {why}"
        return replace(
            check, outcome=Outcome.INCONCLUSIVE, reason=reason, required=True, beyond=True
        )

    def _of_units(self, sequence: ConfidenceSequence) -> "LimitCheck":
        """Return the check of the units alone."""
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
        needed, worse = self._projected(value, error_rate, share)
        if surely:
            note = self._not_yet(value, error_rate, share) + self._would_show(worse)
        else:
            note = self._lacking(value, needed, worse)
            if self._limits.exceeded(self.sequence, error_rate, "advance"):
                said = self._said_by_units(error_rate)
                note = f": {said}{note}" if said else note
        if self._is_of_units and self.units < FEW_UNITS:
            needed = None
        shown = self._of_units(self._failing) if surely and self.by_unit is not None else self
        limit = None if surely else self._limits.open_one(self.sequence, value, error_rate)
        check = shown._check(
            Outcome.INCONCLUSIVE, error_rate, limit=limit, note=note, needed=needed
        )
        return replace(check, beyond=surely)

    @property
    def _is_of_units(self) -> bool:
        return self.once and self.by_unit is None and self.units > 0

    def _projected(
        self, value: float, error_rate: float, share: float
    ) -> tuple[int | None, int | None]:
        """Return about how many more let it pass, and how many more let it fail."""
        limits, failing = self._limits, self._failing
        if self.required and limits.is_within(value):
            return self._more(self.sequence, lambda each: limits.contain(each, error_rate)), None
        if self.required and limits.is_beyond(value):
            return None, self._more(
                failing, lambda each: limits.exceeded(each, share, "fail") is not None
            )
        return None, None

    def _lacking(self, value: float, needed: int | None, worse: int | None) -> str:
        """Say how many more decide it, or that they will not."""
        wanted = self.wording.wanted
        if self._is_of_units:
            return self._lacking_units(worse if needed is None else needed)
        if needed is not None:
            return f": about {needed:,} more {wanted} needed at the present rates"
        if not self.required:
            return ""
        limits = self._limits
        if limits.is_beyond(value):
            beyond = self._rollback_limit(value) if self.rolls_back else "it"
            return f": beyond {beyond} so far{self._would_show(worse)}"
        if limits.is_within(value):
            return f": more {wanted} at these rates will hardly show it"
        return f": more {wanted} at these rates will not bring it within the limit"

    def _not_yet(self, value: float, error_rate: float, share: float) -> str:
        """Say that it is not beyond the rollback limit; its level, where the interval is there."""
        is_there = self._limits.exceeded(self._failing, error_rate, "fail") is not None
        sure = f" at {level(1 - share)}" if is_there else ""
        return f": surely beyond it, not yet beyond {self._rollback_limit(value)}{sure}"

    def _would_show(self, worse: int | None) -> str:
        return (
            ""
            if worse is None
            else f", which about {worse:,} more {self.wording.wanted} would show"
        )

    def _lacking_units(self, needed: int | None) -> str:
        """Say how many units are missing: more requests of the same ones add nothing."""
        few = f"{plural(self.units, 'unit')} show nothing about others"
        if needed is None:
            return f": {few}" if self.units < FEW_UNITS else ""
        more = _rounded_up(needed / self.available * self.units)
        return f": about {more:,} more units needed, and not more requests of the same"

    def _said_by_units(self, error_rate: float) -> str:
        """Say why units do not show what requests do; without units, request ids may repeat."""
        if self.by_unit is None:
            return ""
        counted = self._failing if self.units else self.by_unit
        value, (low, high) = counted.value, counted.interval(error_rate)
        words = self.wording.apart((value, low, high), self._limits.values)
        found = "nothing" if value is None else f"{words.number(value)}{words.unit}"
        if not self.units:
            bounds = f"{level(1 - error_rate)} CI {words.number(low)} to {words.number(high)}"
            is_another = value is not None and value != self.sequence.value
            return f"with each request id once {found} ({bounds})" if is_another else ""
        by_unit = replace(words, counted="units")
        return f"by unit {found} ({by_unit.interval(low, high, 1 - error_rate, self.units)})"

    def _rollback_limit(self, value: float) -> str:
        bounds = self._limits.nearest(value)
        return f"the rollback limit {self.wording.number(bounds.fail)}{self.wording.unit}"

    def _more(
        self, sequence: ConfidenceSequence, decided: Callable[[ConfidenceSequence], bool]
    ) -> int | None:
        """Return about how many more are needed until `decided`, at the present rates."""
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
            words = words.apart((value, low, high), (limit, *self._limits.values))
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
            needed=needed,
        )


def _rounded_up(number: float) -> int:
    """Round up to two digits."""
    size = 10.0 ** max(0, math.floor(math.log10(max(1.0, number))) - 1)
    return max(1, round(math.ceil(number / size) * size))
