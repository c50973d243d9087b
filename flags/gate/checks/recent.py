"""Checks that recent evidence does not contradict the whole: failures, alarm overlap and recall.

A candidate that broke an hour ago still looks good over the whole window. A short time can seldom
prove that a figure is within its limit, but it can refute it: a check is yielded, and holds, only
if the figure of a recent stretch surely is beyond the advance limit. The recent alarm ratio is in
`alarm_time`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.answered_labels import answered_labels
from flags.gate.blocks import DAY, WEEK, Blocks
from flags.gate.evidence import Count, Evidence, Minute, Output, UnitShare
from flags.gate.number_format import percent, points
from flags.gate.plain_check import plain
from flags.gate.selection import Selection, selection
from flags.gate.sequences import DifferenceSequence, MeanSequence, ShareSequence
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

RECENT: Final = (("last day", DAY), ("last three days", 3 * DAY), ("last week", WEEK))
"""Names of stretches, and their hours."""

_MINUTES: Final = (("last 15 minutes", 15), ("last hour", 60), ("last day", 1440))


def recent_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield a check for each figure that a recent stretch refutes."""
    limit = playbook.gate_of(step).advance.failure_rate
    if failing := _failing_stretch(evidence, limit, playbook.error_rate):
        reason = f"failures against the primary's: {failing}, limit {points(limit)} points"
        n = len(evidence.health.minutes)
        check = plain("recent_failure_rate", Outcome.INCONCLUSIVE, n, reason, limit=limit)
        yield replace(check, beyond_advance_limit=True)
    if step.stage is Stage.DEPRECATION:
        return
    for output in evidence.outputs:
        least = playbook.gate_of(step, output=output.name).advance.alarm_overlap
        if output.alarms is not None and (lost := _lost_overlap(output, evidence, least, playbook)):
            reason = f"of the primary's alarms the candidate raises too: {lost}"
            reason += f", limit {percent(least)} %"
            check = plain(
                "recent_alarm_overlap",
                Outcome.INCONCLUSIVE,
                output.alarms.pairs,
                reason,
                limit=least,
            )
            yield replace(check, output=output.name, beyond_advance_limit=True)
        if playbook.expects_labels and (recall := _recall(output, playbook, step)):
            yield replace(recall, output=output.name, beyond_advance_limit=True)


def _failing_stretch(evidence: Evidence, limit: float, error_rate: float) -> str:
    """Return, in words, the first stretch in which failures surely are beyond `limit`."""
    now = int(evidence.window.until.timestamp()) // 60
    for name, size in _MINUTES:
        latest = [each for each in evidence.health.minutes if each.number >= now - size]
        sequence = MeanSequence(_shares(latest), -1.0)
        if sequence.value is not None and sequence.above(limit, error_rate / 2):
            low, high = sequence.interval(error_rate)
            return (
                f"{name} {points(sequence.value)} points (by minute, {points(low)} to "
                f"{points(high)})"
            )
    return ""


def _shares(minutes: list[Minute]) -> tuple[UnitShare, ...]:
    counts = Counter(each.failed for each in minutes)
    return tuple(UnitShare(value, n) for value, n in counts.items())


def _lost_overlap(output: Output, evidence: Evidence, limit: float, playbook: Playbook) -> str:
    """Return, in words, the first stretch in which the overlap of alarms surely is below `limit`.

    Empty if there is none, or if the overlap was below it in the same hours before.
    """
    by_unit, until = output.by_unit, evidence.window.until
    hours = Blocks.of(output.periods, until)
    if by_unit is not None:
        hours = Blocks.of(by_unit.periods, until, hours.begun)
    for name, size in RECENT:
        if hours.hours <= size or not limit:
            continue
        latest, before = hours.latest(size), hours.same_hours_before(size)
        sequence = ShareSequence(Count(latest.both, latest.primary.count))
        was = Count(before.both, before.primary.count).rate
        is_new = was is None or was >= limit
        if sequence.value is None or not is_new or not sequence.below(limit, _alpha(playbook)):
            continue
        low, high = sequence.interval(playbook.error_rate)
        usual = "" if was is None else f"; before, in the same hours, {percent(was)} %"
        return f"{name} {percent(sequence.value)} % ({percent(low)} to {percent(high)}{usual})"
    return ""


def _recall(output: Output, playbook: Playbook, step: Step) -> Check | None:
    """Return the check of the first stretch in which recall surely is lost, None without one.

    Stretches end with the latest positive, since younger pairs have no label that counts. None
    also if recall was lost in the same hours before.
    """
    quality, labelling = output.quality, output.labelling
    advance = playbook.gate_of(step, output=output.name).advance
    if quality is None or labelling is None or not output.caught:
        return None
    is_selected = selection(labelling.old, advance.label_coverage_gap) is not Selection.NONE
    if is_selected or answered_labels(labelling.old, labelling.mean_burst_size):
        return None
    share = quality.by_unit.independent if quality.by_unit else 1.0
    hours, limit = Blocks.of(output.caught, output.caught[-1].start), -advance.recall_loss
    for name, size in RECENT:
        if hours.hours <= size:
            continue
        latest = DifferenceSequence(hours.latest(size), share)
        was = DifferenceSequence(hours.same_hours_before(size), share).value
        is_new = was is None or was >= limit
        if latest.value is None or not is_new or not latest.below(limit, _alpha(playbook)):
            continue
        low, high = latest.interval(playbook.error_rate)
        usual = "" if was is None else f"; before, in the same hours, {points(was)}"
        reason = (
            f"recall against the primary's, of pairs whose labels count: {name} "
            f"{points(latest.value)} points ({points(low)} to {points(high)}{usual}), limit "
            f"{points(limit)} points"
        )
        n = quality.labelled
        return plain("recent_recall", Outcome.INCONCLUSIVE, n, reason, limit=limit)
    return None


def _alpha(playbook: Playbook) -> float:
    return playbook.error_rate / 2
