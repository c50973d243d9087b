"""Checks of the alarm ratio: how often the candidate fires, over all pairs and by segment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.blocks import WEEK, Blocks
from flags.gate.checks.age import after_a_day
from flags.gate.checks.alarm_time import AlarmHistory
from flags.gate.checks.units import (
    effective_alarms,
    has_unnamed_bursts,
    request_sequence,
    segment_units,
    unit_count,
    unit_sequences,
    unit_words,
)
from flags.gate.error_rate import error_share, segment_share
from flags.gate.evidence import Evidence, Output, Paired, SegmentAlarms
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import plural, times
from flags.gate.sequences import (
    ConfidenceSequence,
    ConservativeRatio,
    RatioSequence,
    WorstCaseRatio,
)
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

_COMMON: Final = 0.5
"""Share of alarms beyond which no alarm is the rarer decision, whose ratio is checked too."""

_RARE: Final = Wording("rate without alarm {figure} primary's", times, "x")
_RATE: Final = Wording("alarm rate {figure} primary's", times, "x")


def alarm_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the alarm ratio of each output, and of each value of its checked segments."""
    segments = [
        (output, each)
        for output in evidence.outputs
        for each in output.segments
        if playbook.segments is None or each.segment in playbook.segments
    ]
    for output in evidence.outputs:
        if output.alarms is not None:
            for check in _over_time(evidence, output, output.alarms, playbook, step):
                yield _counted_by(output, check)
            if (output.alarms.primary.rate or 0.0) > _COMMON:
                yield _no_alarm_ratio(evidence, output, output.alarms, playbook, step)
    alpha = segment_share(playbook.error_rate, len(segments))
    for output, each in segments:
        check = _segment_ratio(output, each, playbook, step, alpha)
        yield after_a_day(evidence, _counted_by(output, check))


def _over_time(
    evidence: Evidence, output: Output, alarms: Paired, playbook: Playbook, step: Step
) -> Iterator[Check]:
    gate = playbook.gate_of(step, output=output.name)
    history = AlarmHistory(
        output=output,
        alarms=alarms,
        until=evidence.window.until,
        gate=gate,
        playbook=playbook,
        outputs=evidence.sharing,
        required=step.stage is not Stage.DEPRECATION,
    )
    both_sides, apart = alarms.primary.count + alarms.candidate.count, ""
    fired = min(both_sides, effective_alarms(output, both_sides))
    if fired < both_sides:
        apart = f" of {both_sides:,} that are not of the same bursts"
    few = gate.advance.min_alarms
    for check in history.checks():
        if check.name != "alarm_ratio":
            yield check
        elif check.figure is None:
            yield replace(
                check, reason=f"no alarm on either side in {plural(alarms.pairs, 'pair')}"
            )
        elif check.outcome is Outcome.PASS and fired < few:
            reason = f"{check.reason}: only {plural(fired, 'alarm')}{apart}, {few:,} wanted"
            yield replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason)
        else:
            why = unit_words(output.by_unit)
            if check.outcome is Outcome.INCONCLUSIVE:
                sequence = request_sequence(output, alarms)
                limit, error_rate = gate.advance.alarm_ratio, playbook.error_rate
                why += _undecided_words(output, sequence, RatioSequence(alarms), limit, error_rate)
            yield replace(check, reason=check.reason + why)


def _undecided_words(
    output: Output,
    sequence: ConfidenceSequence,
    decided: RatioSequence,
    limit: float,
    error_rate: float,
) -> str:
    """Return the words that missing decisions alone keep a ratio from its limit; else nothing.

    `sequence` counts them at worst, `decided` leaves them out.
    """
    (low, high), (least, most) = decided.interval(error_rate), sequence.interval(error_rate)
    if output.uncompared is None or not 1 / limit <= low <= high <= limit:
        return ""
    if 1 / limit <= least and most <= limit:
        return ""
    missing = plural(output.uncompared.count, "pair")
    return (
        f"; each bound counts the worst case of {missing} without a decision of a side; it is "
        f"{times(low)} to {times(high)} without these"
    )


def _no_alarm_ratio(
    evidence: Evidence, output: Output, alarms: Paired, playbook: Playbook, step: Step
) -> Check:
    gate, units = playbook.gate_of(step, output=output.name), output.no_alarms_by_unit
    rare = _inverse(alarms)
    until = evidence.window.until
    hours = Blocks.of(output.periods, until)
    _, by_week = hours.whole(WEEK)
    sure: list[ConfidenceSequence] = [RatioSequence(_inverse(by_week))]
    by_unit, fails_by = unit_sequences(units)
    if units is not None and fails_by is not None:
        _, by_week = Blocks.of(units.periods, until, hours.begun).whole(WEEK)
        sure = [RatioSequence(by_week), fails_by]
    share = error_share(playbook.error_rate, "no_alarm_ratio", evidence.sharing)
    check = LimitCheck(
        "no_alarm_ratio",
        _quiet_sequence(output, rare),
        _RARE,
        rare.pairs,
        rare.pairs,
        high=Bounds(gate.advance.no_alarm_ratio, gate.rollback.no_alarm_ratio),
        low=Bounds(1 / gate.advance.no_alarm_ratio, 1 / gate.rollback.no_alarm_ratio),
        output=output.name,
        rolls_back=True,
        required=step.stage is not Stage.DEPRECATION,
        by_unit=by_unit,
        units=unit_count(units),
        fails_by=ConservativeRatio(tuple(sure)),
    ).answer(playbook.error_rate, share)
    if check.figure is None:
        return replace(check, reason=f"each of {plural(rare.pairs, 'pair')} is an alarm of both")
    why = unit_words(units)
    if check.outcome is Outcome.INCONCLUSIVE:
        sequence, limit = _quiet_sequence(output, rare), gate.advance.no_alarm_ratio
        why += _undecided_words(output, sequence, RatioSequence(rare), limit, playbook.error_rate)
    return replace(check, reason=check.reason + why)


def _quiet_sequence(output: Output, rare: Paired) -> ConfidenceSequence:
    """Return the ratio of requests without an alarm, with missing decisions filled in at worst.

    The most alarms are the fewest requests without one, so `least` and `most` change places.
    """
    found = RatioSequence(rare)
    if output.lowest_alarms is None or output.highest_alarms is None:
        return found
    least, most = (
        RatioSequence(_inverse(each)) for each in (output.highest_alarms, output.lowest_alarms)
    )
    return WorstCaseRatio(found, least, most)


def _counted_by(output: Output, check: Check) -> Check:
    """Return the check, without a rollback if it counts requests that depend on each other."""
    units = output.no_alarms_by_unit
    if has_unnamed_bursts(output) or (units is not None and units.units):
        return replace(check, rolls_back=False)
    return check


def _inverse(alarms: Paired) -> Paired:
    """Return the paired table of requests without an alarm."""
    return Paired(alarms.neither, alarms.candidate_only, alarms.primary_only, alarms.both)


def _segment_ratio(
    output: Output, each: SegmentAlarms, playbook: Playbook, step: Step, alpha: float
) -> Check:
    gate = playbook.gate_of(step, output=output.name, segment=each.segment)
    fired = each.alarms.primary.count + each.alarms.candidate.count
    counts = fired >= gate.advance.segment_min_alarms
    by_unit, fails_by = segment_units(output.by_unit, each)
    check = LimitCheck(
        "segment_alarm_ratio",
        RatioSequence(each.alarms),
        _RATE,
        each.alarms.pairs,
        output.paired,
        by_unit=by_unit,
        units=by_unit.table.pairs if by_unit and unit_count(output.by_unit) else 0,
        fails_by=fails_by,
        high=Bounds(gate.advance.segment_alarm_ratio, gate.rollback.segment_alarm_ratio),
        low=Bounds(1 / gate.advance.segment_alarm_ratio, 1 / gate.rollback.segment_alarm_ratio),
        output=output.name,
        segment=each.name,
        rolls_back=True,
        required=counts and step.stage is not Stage.DEPRECATION,
    ).answer(playbook.error_rate, alpha)
    if check.figure is None:
        return replace(
            check, reason=f"no alarm on either side in {plural(each.alarms.pairs, 'pair')}"
        )
    return check
