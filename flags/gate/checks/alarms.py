"""Checks of the alarm ratio: how often the candidate fires, in all and by segment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.error_rate import error_share, segment_share
from flags.gate.evidence import Evidence, Output, Paired, SegmentAlarms, UnitAlarms
from flags.gate.limit_check import Bounds, LimitCheck, Wording, times
from flags.gate.sequences import ConfidenceSequence, RatioSequence, WorstCaseRatio
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

_INDEPENDENT: Final = 1.2
"""Design effect of flips up to which blocks of a unit count as independent to roll back."""

_NOTHING: Final = RatioSequence(Paired(0, 0, 0, 0))

_FEW: Final = 30
"""Units below which the verdict says that they prove nothing about units."""

_COMMON: Final = 0.5
"""Share of alarms beyond which to have none is the rarer side, and the one that tells."""

_RARE: Final = Wording("rate without alarm {figure} primary's", times, "x")
_RATE: Final = Wording("alarm rate {figure} primary's", times, "x")


def alarm_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the alarm ratio of each output, then of each value of its checked segments."""
    segments = [
        (output, each)
        for output in evidence.outputs
        for each in output.segments
        if playbook.segments is None or each.segment in playbook.segments
    ]
    for output in evidence.outputs:
        if output.alarms is not None:
            yield _ratio(output, playbook, step, len(evidence.outputs))
            if (output.alarms.primary.rate or 0.0) > _COMMON:
                yield _no_alarm_ratio(output, output.alarms, playbook, step, len(evidence.outputs))
    alpha = segment_share(playbook.error_rate, len(segments))
    for output, each in segments:
        yield _segment_ratio(output, each, playbook, step, alpha)


def _ratio(output: Output, playbook: Playbook, step: Step, outputs: int) -> Check:
    alarms = output.alarms
    assert alarms is not None  # noqa: S101  # the caller has looked
    gate = playbook.gate_of(step, output=output.name)
    by_unit, fails_by = _unit_sequences(output.by_unit)
    check = LimitCheck(
        "alarm_ratio",
        _request_sequence(output, alarms),
        _RATE,
        alarms.pairs,
        alarms.pairs,
        high=Bounds(gate.advance.alarm_ratio, gate.rollback.alarm_ratio),
        low=Bounds(1 / gate.advance.alarm_ratio, 1 / gate.rollback.alarm_ratio),
        output=output.name,
        rolls_back=True,
        required=step.stage is not Stage.DEPRECATION,
        by_unit=by_unit,
        fails_by=fails_by,
    ).answer(playbook.error_rate, error_share(playbook.error_rate, "alarm_ratio", outputs))
    fired = alarms.primary.count + alarms.candidate.count
    few = gate.advance.min_alarms
    if check.figure is None:
        return replace(check, reason=f"no alarm on either side in {alarms.pairs:,} pairs")
    if check.outcome is Outcome.PASS and fired < few:
        reason = f"{check.reason}: only {fired:,} alarms, {few:,} wanted"
        return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason)
    return replace(check, reason=check.reason + _unit_words(output.by_unit))


def _request_sequence(output: Output, alarms: Paired) -> ConfidenceSequence:
    """Count what a side did not decide for both bounds: as no alarm and as an alarm."""
    found = RatioSequence(alarms)
    if output.least is None or output.most is None:
        return found
    return WorstCaseRatio(found, RatioSequence(output.least), RatioSequence(output.most))


def _unit_sequences(
    units: UnitAlarms | None,
) -> tuple[RatioSequence | None, RatioSequence | None]:
    """Return what advances and what rolls back by unit; None where nothing is counted so.

    Flips of a unit that go on from block to block are worth less to advance, and are then not
    counted to roll back: what is estimated there may not.
    """
    if units is None:
        return None, None
    by_unit = RatioSequence(units.alarms, 1 / max(1.0, units.design_effect))
    alike = units.design_effect > _INDEPENDENT
    return by_unit, RatioSequence(units.once if alike else units.alarms)


def _unit_words(units: UnitAlarms | None) -> str:
    if units is None:
        return ""
    if not units.units:
        return "; judged by request, no pair names a unit"
    few = f": {units.units} units show nothing about others" if units.units < _FEW else ""
    return f"; judged by {units.units:,} units too{few}"


def _no_alarm_ratio(
    output: Output, alarms: Paired, playbook: Playbook, step: Step, outputs: int
) -> Check:
    gate = playbook.gate_of(step, output=output.name)
    rare = _inverse(alarms)
    return LimitCheck(
        "no_alarm_ratio",
        RatioSequence(rare),
        _RARE,
        rare.pairs,
        rare.pairs,
        high=Bounds(gate.advance.no_alarm_ratio, gate.rollback.no_alarm_ratio),
        low=Bounds(1 / gate.advance.no_alarm_ratio, 1 / gate.rollback.no_alarm_ratio),
        output=output.name,
        # By unit, what is counted is alarms: without them, a burst could roll back.
        rolls_back=output.by_unit is None or not output.by_unit.units,
        required=step.stage is not Stage.DEPRECATION,
    ).answer(playbook.error_rate, error_share(playbook.error_rate, "no_alarm_ratio", outputs))


def _inverse(alarms: Paired) -> Paired:
    """Return the table of what is not an alarm."""
    return Paired(alarms.neither, alarms.candidate_only, alarms.primary_only, alarms.both)


def _segment_ratio(
    output: Output, each: SegmentAlarms, playbook: Playbook, step: Step, alpha: float
) -> Check:
    gate = playbook.gate_of(step, output=output.name, segment=each.segment)
    fired = each.alarms.primary.count + each.alarms.candidate.count
    counts = fired >= gate.advance.segment_min_alarms
    by_unit, fails_by = _segment_units(output.by_unit, each)
    check = LimitCheck(
        "segment_alarm_ratio",
        RatioSequence(each.alarms),
        _RATE,
        each.alarms.pairs,
        output.paired,
        by_unit=by_unit,
        fails_by=fails_by,
        high=Bounds(gate.advance.segment_alarm_ratio, gate.rollback.segment_alarm_ratio),
        low=Bounds(1 / gate.advance.segment_alarm_ratio, 1 / gate.rollback.segment_alarm_ratio),
        output=output.name,
        segment=f"{each.segment}={'(none)' if each.value is None else each.value}",
        rolls_back=True,
        required=counts and step.stage is not Stage.DEPRECATION,
    ).answer(playbook.error_rate, alpha)
    if check.figure is None:
        return replace(check, reason=f"no alarm on either side in {each.alarms.pairs:,} pairs")
    return check


def _segment_units(
    units: UnitAlarms | None, segment: SegmentAlarms
) -> tuple[RatioSequence | None, RatioSequence | None]:
    """Return the same segment by unit; what is not known to be independent fails nothing."""
    if units is None or not units.units:
        return None, None
    for each in units.segments:
        if (each.segment, each.value) == (segment.segment, segment.value):
            factor = 1 / max(1.0, units.design_effect)
            alike = units.design_effect > _INDEPENDENT
            fails = _NOTHING if alike else RatioSequence(each.alarms)
            return RatioSequence(each.alarms, factor), fails
    return _NOTHING, _NOTHING
