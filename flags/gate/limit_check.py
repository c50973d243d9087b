"""A confidence sequence compared with a limit: within it, beyond it, or not known yet."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from flags.gate.number_format import Write, digits_apart, level, plural
from flags.gate.sequences import ConfidenceSequence
from flags.gate.verdict import Check, Outcome

FEW_UNITS: Final = 30
"""Units below which the verdict says that they prove nothing about units."""

_MOST: Final = 2.0**20
"""Times the present data beyond which it is no use to say how much more is needed."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Hold both limits on one side of a figure: go on within `advance`, fail beyond `fail`."""

    advance: float
    fail: float


@dataclass(frozen=True, slots=True)
class Wording:
    """Say a figure in words: `what` holds `{figure}`; `write` writes figure, limit and bounds."""

    what: str
    write: Write
    unit: str = ""
    counted: str = "n"
    """What n counts, e.g. `positives`."""
    wanted: str = "pairs"
    """What more is needed of."""
    more: int = 0
    """Digits more than usual."""

    def apart(self, values: Iterable[float | None], limits: Iterable[float | None]) -> "Wording":
        """Return the wording with enough digits to show on which side of each limit a value is."""
        return replace(self, more=digits_apart(self.write, values, limits))

    def number(self, value: float) -> str:
        """Write a number without its unit."""
        return self.write(value, self.more)

    def figure(self, value: float) -> str:
        """Write the sentence's beginning."""
        return self.what.format(figure=self.number(value) + self.unit)

    def interval(self, low: float, high: float, confidence: float, n: int) -> str:
        """Write `95 % CI 1.91 to 2.15, n=48,211`."""
        bounds = f"{self.number(low)} to {self.number(high)}"
        return f"{level(confidence)} CI {bounds}, {self.counted}={n:,}"


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
        beyond = self._beyond(share)
        if beyond is not None:
            return self._of_units(self._failing)._check(Outcome.FAIL, share, limit=beyond)
        if not self._within(self.sequence, error_rate):
            return self._undecided(value, error_rate, share)
        if self.by_unit is None or self._within(self.by_unit, error_rate):
            return self._check(Outcome.PASS, error_rate)
        return self._of_units(self.by_unit)._undecided(self.by_unit.value or 0.0, error_rate, share)

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
    def _failing(self) -> ConfidenceSequence:
        return self.fails_by or self.by_unit or self.sequence

    def _beyond(self, alpha: float) -> float | None:
        return self._past(self._failing, alpha, "fail")

    def _past(self, sequence: ConfidenceSequence, alpha: float, which: str) -> float | None:
        """Return the limit that the whole interval at 1 - alpha is beyond, None if none."""
        if self.high and sequence.above(limit := getattr(self.high, which), alpha / 2):
            return float(limit)
        if self.low and sequence.below(limit := getattr(self.low, which), alpha / 2):
            return float(limit)
        return None

    def _within(self, sequence: ConfidenceSequence, alpha: float) -> bool:
        return not (
            (self.high and not sequence.below(self.high.advance, alpha / 2))
            or (self.low and not sequence.above(self.low.advance, alpha / 2))
        )

    def _undecided(self, value: float, error_rate: float, share: float) -> Check:
        surely = self._past(self._failing, error_rate, "advance") is not None
        needed, worse = self._projected(value, error_rate, share)
        if surely:
            note = self._not_yet(value, error_rate, share) + self._would_show(worse)
        else:
            note = self._lacking(value, needed, worse)
            if self._past(self.sequence, error_rate, "advance"):
                said = self._said_by_units(error_rate)
                note = f": {said}{note}" if said else note
        if self._is_of_units and self.units < FEW_UNITS:
            needed = None
        shown = self._of_units(self._failing) if surely and self.by_unit is not None else self
        limit = None if surely else self._open_limit(value, error_rate)
        check = shown._check(
            Outcome.INCONCLUSIVE, error_rate, limit=limit, note=note, needed=needed
        )
        return replace(check, beyond=surely)

    @property
    def _is_of_units(self) -> bool:
        return self.once and self.by_unit is None and self.units > 0

    def _is_within(self, value: float) -> bool:
        return not (
            (self.high and value >= self.high.advance) or (self.low and value <= self.low.advance)
        )

    def _is_beyond(self, value: float) -> bool:
        high, low = self.high, self.low
        return (high is not None and value > high.fail) or (low is not None and value < low.fail)

    def _projected(
        self, value: float, error_rate: float, share: float
    ) -> tuple[int | None, int | None]:
        """Return about how many more let it pass, and how many more let it fail."""
        if self.required and self._is_within(value):
            return self._more(self.sequence, lambda each: self._within(each, error_rate)), None
        if self.required and self._is_beyond(value):
            failing = self._failing
            return None, self._more(
                failing, lambda each: self._past(each, share, "fail") is not None
            )
        return None, None

    def _lacking(self, value: float, needed: int | None, worse: int | None) -> str:
        """Say how many more decide it, or that they will not."""
        wanted = self.wording.wanted
        if self._is_of_units:
            return self._lacking_units(worse if needed is None else needed)
        if needed is not None:
            return f": about {needed:,} more {wanted} needed at the present rates"
        if worse is not None:
            beyond = self._rollback_limit(value) if self.rolls_back else "it"
            return f": beyond {beyond} so far{self._would_show(worse)}"
        if self.required and not self._is_within(value) and not self._is_beyond(value):
            return f": more {wanted} at these rates will not bring it within the limit"
        return ""

    def _not_yet(self, value: float, error_rate: float, share: float) -> str:
        """Say that it is not beyond the rollback limit; its level, where the interval is there."""
        is_there = self._past(self._failing, error_rate, "fail") is not None
        sure = f" at {level(1 - share)}" if is_there else ""
        return f": surely beyond it, not yet beyond {self._rollback_limit(value)}{sure}"

    def _would_show(self, worse: int | None) -> str:
        return (
            ""
            if worse is None
            else f", which about {worse:,} more {self.wording.wanted} would show"
        )

    def _open_limit(self, value: float, alpha: float) -> float:
        """Return the limit that is not shown yet: the nearer one, unless only the other is open."""
        high, low = self.high, self.low
        above_low = low is None or self.sequence.above(low.advance, alpha / 2)
        below_high = high is None or self.sequence.below(high.advance, alpha / 2)
        if high and low and above_low != below_high:
            return high.advance if above_low else low.advance
        return self._nearest(value).advance

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
        words = self.wording.apart((value, low, high), self._limits)
        found = "nothing" if value is None else f"{words.number(value)}{words.unit}"
        if not self.units:
            bounds = f"{level(1 - error_rate)} CI {words.number(low)} to {words.number(high)}"
            is_another = value is not None and value != self.sequence.value
            return f"with each request id once {found} ({bounds})" if is_another else ""
        by_unit = replace(words, counted="units")
        return f"by unit {found} ({by_unit.interval(low, high, 1 - error_rate, self.units)})"

    def _rollback_limit(self, value: float) -> str:
        bounds = self._nearest(value)
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

    @property
    def _limits(self) -> tuple[float, ...]:
        sides = [each for each in (self.high, self.low) if each]
        return tuple(limit for each in sides for limit in (each.advance, each.fail))

    def _nearest(self, value: float) -> Bounds:
        """Return the bounds on the side of the figure's neutral value that it is on."""
        if self.high and self.low:
            middle = (
                math.sqrt(self.high.advance * self.low.advance)
                if self.low.advance > 0
                else (self.high.advance + self.low.advance) / 2
            )
            return self.high if value >= middle else self.low
        return self.high or self.low or Bounds(math.inf, math.inf)

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
            limit = self._nearest(value).advance if limit is None else limit
            low, high = self.sequence.interval(alpha)
            words = words.apart((value, low, high), (limit, *self._limits))
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
