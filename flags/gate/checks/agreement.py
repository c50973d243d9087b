"""Checks of the overlap of both sides' alarms. They never roll back: only labels do.

Both sides may raise the same number of alarms on entirely different requests. The share of the
primary's alarms that the candidate raises too shows this without labels. Only labels show which of
the other alarms are right.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.checks.early_labels import catches_half
from flags.gate.evidence import Count, Evidence, Output, Paired
from flags.gate.label_fit import output_fit
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import percent, plural
from flags.gate.selection import Selection, selection
from flags.gate.sequences import DifferenceSequence, ShareSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

_WORDING: Final = Wording(
    "the candidate raises {figure} of the primary's alarms too",
    percent,
    " %",
    counted="alarms",
)


def agreement_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the overlap of each output, and of each value of its checked segments."""
    for output in evidence.outputs:
        if output.alarms is None:
            continue
        recall_shown = _recall_is_shown(output, playbook, step)
        gate = playbook.gate_of(step, output=output.name).advance
        yield _overlap(
            "alarm_overlap",
            output,
            output.alarms,
            gate.alarm_overlap,
            playbook,
            step,
            recall_shown=recall_shown,
        )
        for each in output.segments:
            if playbook.segments is not None and each.segment not in playbook.segments:
                continue
            limits = playbook.gate_of(step, output=output.name, segment=each.segment).advance
            yield _overlap(
                "segment_alarm_overlap",
                output,
                each.alarms,
                limits.segment_alarm_overlap,
                playbook,
                step,
                recall_shown=recall_shown
                and _is_kept(each.caught, limits.segment_recall_loss, playbook, limits),
                segment=each.name,
                min_alarms=limits.segment_min_alarms,
            )


def _overlap(
    name: str,
    output: Output,
    alarms: Paired,
    limit: float,
    playbook: Playbook,
    step: Step,
    *,
    recall_shown: bool,
    segment: str | None = None,
    min_alarms: int = 0,
) -> Check:
    """Check the overlap of alarms; it is not required below `min_alarms` alarms of both sides."""
    fired, units = alarms.primary.count, output.by_unit
    sequence = ShareSequence(Count(alarms.both, fired))
    enough = fired + alarms.candidate.count >= min_alarms
    required = enough and not recall_shown and limit > 0 and step.stage is not Stage.DEPRECATION
    check = LimitCheck(
        name,
        sequence,
        _WORDING,
        fired,
        alarms.pairs,
        low=Bounds(limit, limit),
        output=output.name,
        segment=segment,
        required=required,
        by_unit=sequence.scaled(1 / max(1.0, units.design_effect)) if units else None,
        fails_by=sequence,
    ).answer(playbook.error_rate)
    if check.figure is None:
        return replace(check, reason=f"no alarm of the primary in {plural(alarms.pairs, 'pair')}")
    if check.outcome is Outcome.FAIL and not required:
        why = "recall is shown by labels" if recall_shown else "it is not asked for here"
        return replace(
            check, outcome=Outcome.INCONCLUSIVE, reason=f"{check.reason}: {why}", more_needed=None
        )
    if check.outcome is Outcome.FAIL:
        return replace(check, reason=f"{check.reason}: labels must show which alarms are right")
    return check


def _recall_is_shown(output: Output, playbook: Playbook, step: Step) -> bool:
    """Say whether unselected labels prove that the candidate's recall is within its limit."""
    limits = playbook.gate_of(step, output=output.name).advance
    strata = output.labelling.old if output.labelling else ()
    if output.quality is None or not playbook.expects_labels:
        return False
    if selection(strata, limits.label_coverage_gap) is not Selection.NONE:
        return False
    if not output_fit(output, output.quality).is_shown:
        return False
    return _is_kept(output.quality.caught, limits.recall_loss, playbook, limits)


def _is_kept(caught: Paired, loss: float, playbook: Playbook, limits: AdvanceLimits) -> bool:
    """Say whether enough positives prove that the candidate loses less recall than `loss`."""
    alpha = playbook.error_rate / 2
    enough = caught.pairs >= limits.min_positives and catches_half(caught, alpha)
    return enough and DifferenceSequence(caught).above(-loss, alpha)
