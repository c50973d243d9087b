"""Checks of the alarm ratio over time: at any time, by days and weeks, since a break, recently."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from flags.gate.blocks import DAY, WEEK, Blocks, total
from flags.gate.checks.recent import RECENT
from flags.gate.checks.units import (
    INDEPENDENT,
    burst_words,
    request_sequence,
    unit_count,
    unit_sequences,
)
from flags.gate.error_rate import error_share
from flags.gate.evidence import Output, Paired
from flags.gate.expected_ratio import RHYTHM_ALARMS, BreakLimits, alarms_of_a_side, breaks
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import plural, times
from flags.gate.plain_check import plain
from flags.gate.sequences import (
    ConfidenceSequence,
    ConservativeRatio,
    RatioSequence,
    WorstCaseRatio,
)
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook

_RATE: Final = Wording("alarm rate {figure} primary's", times, "x")


@dataclass(frozen=True, slots=True)
class AlarmHistory:
    """The alarms of an output by hour, with their limits."""

    output: Output
    alarms: Paired
    until: datetime
    gate: Gate
    playbook: Playbook
    outputs: int
    """Number of outputs that divide the error rate."""
    required: bool

    @property
    def blocks(self) -> Blocks:
        """Return the hours, counted by request."""
        return Blocks.of(self.output.periods, self.until)

    @property
    def counted(self) -> Blocks:
        """Return the hours as counted for a rollback: each unit once an hour, else each request."""
        if self.output.by_unit is None:
            return self.blocks
        return Blocks.of(self.output.by_unit.periods, self.until, self.blocks.begun)

    def checks(self) -> Iterator[Check]:
        """Yield the checks of the ratio, of a break at some hour, and of the recent ratio."""
        yield self.ratio()
        yield self.broken()
        if self.blocks.hours >= DAY:
            yield self.recent()

    def ratio(self) -> Check:
        """Check the ratio: PASS by all pairs; FAIL by all pairs, by whole days or whole weeks."""
        rollback, hours = self.gate.rollback, self.counted
        days, by_day = hours.whole(DAY)
        weeks, by_week = hours.whole(WEEK)
        ever = hours.latest(hours.hours + 1)
        enough = max(ever.primary.count, ever.candidate.count) >= rollback.min_alarms_now
        tiers = [
            ("alarm_ratio_now", ever, enough, None, "at any hour"),
            ("alarm_ratio_day", by_day, days > 0, DAY, f"over {_whole(days, 'day')}"),
            ("alarm_ratio", by_week, weeks > 0, WEEK, f"over {_whole(weeks, 'week')}"),
        ]
        for limit, table, is_time, size, over in tiers:
            if is_time and (found := self._compared(limit, table, size)).outcome is Outcome.FAIL:
                return replace(found, reason=f"{found.reason} {over}")
        found = self._compared("alarm_ratio", ever)
        if found.outcome is not Outcome.FAIL:
            # The reason names the limit in force, which the page shows too.
            in_force = "alarm_ratio_day" if days else "alarm_ratio_now"
            return found if weeks else self._compared(in_force, ever)
        later = ""
        if not weeks:
            day, now = (times(self._rollback_limit(which)) for which in ("day", "now"))
            later = (
                f", which counts whole weeks (so far {days} of 7 days): {day}x over whole days or "
                f"{now}x at once would roll back"
            )
        reason = found.reason.replace(", rollback limit", ": surely beyond the rollback limit")
        return replace(
            found, outcome=Outcome.INCONCLUSIVE, reason=reason + later, beyond_advance_limit=True
        )

    def _rollback_limit(self, which: str) -> float:
        return self.gate.rollback.limit(f"alarm_ratio_{which}")

    def _compared(self, limit: str, table: Paired, size: int | None = None) -> Check:
        """Compare all pairs with the advance limit, and `table` with a rollback limit.

        The table is of whole spans of `size` hours; of all pairs if `size` is None.
        """
        advance, fail = self.gate.advance.alarm_ratio, self.gate.rollback.limit(limit)
        by_request = request_sequence(self.output, self.alarms)
        by_unit, fails_by = unit_sequences(self.output.by_unit)
        sure: list[ConfidenceSequence] = [RatioSequence(table)]
        sure += [fails_by] if fails_by else []
        sure += [by_request] if isinstance(by_request, WorstCaseRatio) else []
        return LimitCheck(
            "alarm_ratio",
            by_request,
            _RATE,
            self.alarms.pairs if size is None else self.blocks.whole(size)[1].pairs,
            self.alarms.pairs,
            high=Bounds(advance, fail),
            low=Bounds(1 / advance, 1 / fail),
            output=self.output.name,
            rolls_back=True,
            required=self.required,
            by_unit=by_unit,
            units=unit_count(self.output.by_unit),
            fails_by=ConservativeRatio(tuple(sure)),
        ).answer(self.playbook.error_rate, self.share(limit))

    @property
    def break_limits(self) -> BreakLimits:
        """Return the factors by which the ratio may exceed that of the same hours before."""
        rollback = self.gate.rollback
        day, now = rollback.limit("alarm_ratio_day"), rollback.limit("alarm_ratio_now")
        return BreakLimits(week=rollback.alarm_ratio, day=day, none=now)

    def share(self, check: str) -> float:
        """Return the error rate of one of these checks, for its rollback."""
        return error_share(self.playbook.error_rate, check, self.outputs)

    def broken(self) -> Check:
        """Check for a break: since some hour, the ratio is beyond that of the same hours before."""
        rollback, hours, alpha = self.gate.rollback, self.counted, self.share("alarm_break")
        up, down = breaks(hours, self.break_limits)
        found = max(up, down, key=lambda each: each.log_evidence)
        limit = rollback.limit("alarm_ratio" if hours.hours >= WEEK else "alarm_ratio_day")
        if hours.hours < DAY:
            limit = rollback.limit("alarm_ratio_now")
        if found.start is None or found.log_evidence < -math.log(alpha / 2):
            far = f"{times(limit)}x{self._before_words(hours.hours)}"
            reason = f"at no hour did the alarm ratio begin to be beyond {far}"
            return self._named(
                plain("alarm_break", Outcome.PASS, self.alarms.pairs, reason, limit=limit)
            )
        size = hours.hours - found.start + 1
        ratio = RatioSequence(hours.latest(size))
        low, high = ratio.interval(alpha)
        pairs = self.blocks.latest(size).pairs
        far = f"{times(limit)}x{self._before_words(found.start)}"
        reason = (
            f"since about {hours.time(found.start):%Y-%m-%d %H:%M} UTC the alarm rate is "
            f"{times(ratio.value or 0)}x primary's, beyond {far} (n={pairs:,})"
        )
        outcome = Outcome.FAIL
        if self.output.by_unit and self.output.by_unit.hourly_design_effect > INDEPENDENT:
            outcome = Outcome.INCONCLUSIVE
            reason += (
                ": but the same units flip hour after hour, so it may be a few of them"
                if self.output.by_unit.units
                else f": but {burst_words(self.output.by_unit.hourly_design_effect)}"
            )
        check = plain("alarm_break", outcome, pairs, reason, figure=ratio.value, limit=limit)
        begun, is_open = hours.time(found.start), outcome is Outcome.INCONCLUSIVE
        check = replace(check, low=low, high=high, confidence=1 - alpha, since=begun)
        return self._named(replace(check, beyond_advance_limit=is_open))

    def _before_words(self, hour: int) -> str:
        """Return, in words, what the hours since `hour` are compared with: the days before it."""
        day = hour - hour % DAY
        known = total(each.alarms for each in self.counted.blocks if each.hour < day)
        alarms = alarms_of_a_side(known.both, known.primary_only, known.candidate_only)
        if not alarms:
            return ""
        if alarms < RHYTHM_ALARMS * (7 if day >= WEEK else 1):  # no hours of their own
            return f" what all hours before had, {plural(math.ceil(alarms), 'alarm')} a side"
        return " what the same hours had before"

    def _named(self, check: Check) -> Check:
        required = self.required and check.outcome is not Outcome.PASS
        return replace(check, output=self.output.name, rolls_back=True, required=required)

    def recent(self) -> Check:
        """Check that the last day, three days and week do not contradict the whole window.

        A short time can seldom prove that a ratio is within its limit, but it can refute it.
        """
        refuted = [
            f"{name}: {said}"
            for name, hours in RECENT
            if self.blocks.hours > hours and (said := self._refuted(hours))
        ]
        return replace(
            plain(
                "recent_alarm_ratio",
                Outcome.INCONCLUSIVE if refuted else Outcome.PASS,
                self.alarms.pairs,
                "; ".join(refuted) or "no recent day contradicts the whole",
                limit=self.gate.advance.alarm_ratio,
            ),
            output=self.output.name,
            required=self.required,
            beyond_advance_limit=bool(refuted),
        )

    def _refuted(self, hours: int) -> str:
        alpha, limit = self.playbook.error_rate, self.gate.advance.alarm_ratio
        before, latest = self.counted.same_hours_before(hours), self.counted.latest(hours)
        now, then = RatioSequence(latest), RatioSequence(before)
        if now.value is None:
            return ""
        low, high = now.interval(alpha)
        words = _RATE.with_digits((now.value, low, high), (limit, 1 / limit))
        bounds = f"{words.number(low)} to {words.number(high)}"
        written = f"{words.figure(now.value)} ({bounds})"
        usual = 1.0 if then.value is None else then.value
        if (low > limit and usual <= limit) or (high < 1 / limit and usual >= 1 / limit):
            return f"{written}, surely beyond the limit {words.number(limit)}x"
        if then.value is None:
            return ""
        was_low, was_high = then.interval(alpha)
        if low > was_high or high < was_low:
            return (
                f"{written}, surely another one than that of the same hours before, "
                f"{times(then.value)}x ({times(was_low)} to {times(was_high)})"
            )
        return ""


def _whole(number: int, unit: str) -> str:
    return f"{number} whole {unit}{'' if number == 1 else 's'}"
