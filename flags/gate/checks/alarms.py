"""Checks of the alarm ratio: how often the candidate fires, in all and by segment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.error_rate import error_share, segment_share
from flags.gate.evidence import Evidence, Output, SegmentAlarms
from flags.gate.limit_check import Bounds, LimitCheck, Wording, times
from flags.gate.sequences import RatioSequence
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

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
    alpha = segment_share(playbook.error_rate, len(segments))
    for output, each in segments:
        yield _segment_ratio(output, each, playbook, step, alpha)


def _ratio(output: Output, playbook: Playbook, step: Step, outputs: int) -> Check:
    alarms = output.alarms
    assert alarms is not None  # noqa: S101  # the caller has looked
    gate = playbook.gate_of(step, output=output.name)
    check = LimitCheck(
        "alarm_ratio",
        RatioSequence(alarms),
        _RATE,
        alarms.pairs,
        alarms.pairs,
        high=Bounds(gate.advance.alarm_ratio, gate.rollback.alarm_ratio),
        low=Bounds(1 / gate.advance.alarm_ratio, 1 / gate.rollback.alarm_ratio),
        output=output.name,
        rolls_back=True,
        required=step.stage is not Stage.DEPRECATION,
    ).answer(playbook.error_rate, error_share(playbook.error_rate, "alarm_ratio", outputs))
    fired = alarms.primary.count + alarms.candidate.count
    few = gate.advance.min_alarms
    if check.figure is None:
        return replace(check, reason=f"no alarm on either side in {alarms.pairs:,} pairs")
    if check.outcome is Outcome.PASS and fired < few:
        reason = f"{check.reason}: only {fired:,} alarms, {few:,} wanted"
        return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason)
    return check


def _segment_ratio(
    output: Output, each: SegmentAlarms, playbook: Playbook, step: Step, alpha: float
) -> Check:
    gate = playbook.gate_of(step, output=output.name, segment=each.segment)
    fired = each.alarms.primary.count + each.alarms.candidate.count
    counts = fired >= gate.advance.segment_min_alarms
    check = LimitCheck(
        "segment_alarm_ratio",
        RatioSequence(each.alarms),
        _RATE,
        each.alarms.pairs,
        output.paired,
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
