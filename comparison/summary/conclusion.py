"""The conclusion from a comparison's figures, in words.

The limits are fixed; those of a playbook belong to the gate. Missing evidence is a HOLD, never a
pass: alarms are no reason to hold only if the whole interval of their ratio is within the limits.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from comparison.evidence.alarms import Alarms
from comparison.evidence.notes import threshold_note
from comparison.evidence.number_format import (
    decimals_for,
    fixed,
    percent,
    percent_interval,
    times,
    times_interval,
)
from comparison.summary.figures import OutputFigures, SideFigures, Summary
from flags.gate.number_format import plural
from flags.pairing.kinds.registry import equalities

ALARM_RATIO_LIMIT: Final = 1.10
"""The alarm ratio, candidate to primary, may lie between 1 / this and this."""

AGREEMENT_LIMIT: Final = 0.8
"""Both sides must give the same class in this share of the pairs."""

COMPLETENESS_LIMIT: Final = 0.999
"""This share of the pairs that were made must have been found."""

FAILURE_MARGIN: Final = 0.01
"""The candidate's failure rate may exceed the primary's by this much."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The reasons for a HOLD (empty: no objection), and remarks."""

    reasons: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def hold(self) -> bool:
        """Return whether there is a reason to hold."""
        return bool(self.reasons)

    def __str__(self) -> str:
        lines = self.reasons or ("no objection from these figures",)
        return "\n".join([*lines, *self.remarks])


def conclude(summary: Summary) -> Conclusion:
    """Compare completeness, the candidate's failures and each output's alarms with limits.

    The limits are fixed: 99.9 % of the pairs found, failures at most one point above the primary's,
    the whole interval of the alarm ratio within 1/1.10 to 1.10. No error is raised: a missing
    figure is a reason to hold.
    """
    reasons = [*_completeness(summary), *_failures(summary.primary, summary.candidate)]
    if not summary.paired:
        reasons.append("no pair has an answer of both sides: HOLD, there is nothing to compare")
    elif not summary.outputs and not summary.equal_answers:
        reasons.append("no output was recorded: HOLD, there is nothing to compare")
    else:
        reasons += _equal_answers(summary)
        for output in summary.outputs:
            reasons += _alarms(output, named=len(summary.outputs) > 1)
    return Conclusion(tuple(reasons), tuple(_remarks(summary)))


def is_uncalibrated(output: OutputFigures) -> bool:
    """Return whether the whole interval of the alarm ratio is outside the limits."""
    if output.alarms is None or output.unscored == output.paired:
        return False
    ratio = output.alarms.ratio
    return ratio.low > ALARM_RATIO_LIMIT or ratio.high < 1 / ALARM_RATIO_LIMIT


def _completeness(summary: Summary) -> Iterator[str]:
    accounting = summary.accounting
    if accounting.completeness is None:
        yield "the pairs carry no sequence numbers: HOLD, whether some are missing is not known"
    elif accounting.completeness < COMPLETENESS_LIMIT:
        dropped = sum(worker.dropped for worker in accounting.workers)
        reported = f", {dropped:,} reported as dropped" if dropped else ""
        yield (
            f"{accounting.expected - accounting.found:,} of {accounting.expected:,} pairs "
            f"missing{reported} (completeness {percent(accounting.completeness)}, "
            f"limit {percent(COMPLETENESS_LIMIT)}): HOLD until the loss is explained"
        )
    if again := sum(worker.reused_numbers for worker in accounting.workers):
        yield (
            f"{plural(again, 'pair')} with the number of another one of the same worker: HOLD, two "
            "processes go by its name, so a lost pair may not show"
        )


def _failures(primary: SideFigures, candidate: SideFigures) -> Iterator[str]:
    failed = candidate.failed
    limit = (primary.failed.rate or 0.0) + FAILURE_MARGIN
    if failed.rate is not None and failed.rate > limit:
        yield (
            f"the candidate fails on {percent(failed.rate)} of its calls "
            f"(95 % CI {percent_interval(failed)}, limit {percent(limit)}, the primary's rate "
            f"plus {percent(FAILURE_MARGIN)}, n={failed.total:,}): HOLD until it answers"
        )


def _alarms(output: OutputFigures, named: bool) -> Iterator[str]:
    of_output = f"{output.output}: " if named else ""
    alarms = output.alarms
    if output.unscored == output.paired:
        yield f"{of_output}no pair has a finite score on both sides: HOLD, nothing to compare"
        return
    if alarms is None:
        yield (
            f"{difference_sentence(output)}; no threshold says from where on it matters: HOLD, "
            "the differences are for a reader to judge"
        )
        return
    sentence = of_output + alarm_sentence(output, alarms)
    if is_uncalibrated(output):
        yield f"{sentence}: HOLD until its threshold is calibrated"
    elif not _within_limits(alarms):
        fired = alarms.flips.pairs - alarms.flips.neither
        yield f"{sentence}: HOLD, alarms in {plural(fired, 'pair')} are not enough evidence"


_SHOWN_BY: Final = {each.of: each.shown_by for each in equalities()}
"""By kind of answer, the evidence that shows which side is right."""


def _equal_answers(summary: Summary) -> Iterator[str]:
    for output, same in summary.equal_answers.items():
        share = same.share
        if share.low < AGREEMENT_LIMIT:
            yield (
                f"{output}: both sides give the same {same.kind} in {percent(share.rate)} of "
                f"{share.total:,} pairs (95 % CI {percent_interval(share)}, limit "
                f"{percent(AGREEMENT_LIMIT)}): HOLD until {_SHOWN_BY[same.kind]}"
            )


def _within_limits(alarms: Alarms) -> bool:
    return alarms.ratio.low >= 1 / ALARM_RATIO_LIMIT and alarms.ratio.high <= ALARM_RATIO_LIMIT


def alarm_sentence(output: OutputFigures, alarms: Alarms) -> str:
    """Return a sentence on the candidate's alarms relative to the primary's."""
    ratio, n = alarms.ratio, alarms.flips.pairs
    at = "the same threshold" if _same_threshold(output) else "its own threshold"
    if ratio.value is None:
        return f"neither side fires in {n:,} pairs"
    figures = f"(95 % CI {times_interval(ratio)}, limit {ALARM_RATIO_LIMIT:.2f}, n={n:,})"
    if math.isinf(ratio.value):
        return (
            f"the candidate would fire {alarms.candidate.count:,} times at {at} "
            f"where the primary never does {figures}"
        )
    return (
        f"the candidate would fire {times(ratio)} times as often as the primary at {at} {figures}"
    )


def difference_sentence(output: OutputFigures) -> str:
    """Return a sentence on the difference of the candidate's numbers from the primary's."""
    half, mean = output.differences[0.5], output.mean_difference
    n = f"n={output.paired - output.unscored:,}"
    if not output.differences[1.0] or mean is None:
        return f"{output.output}: both sides say the same in every pair ({n})"
    decimals = decimals_for([value for side in output.scores.values() for value in side.values()])
    differences = [mean, half, *(output.mean_interval or ())]
    if not any(round(each or 0.0, decimals) for each in differences):
        decimals = decimals_for(differences)  # tiny beside the numbers, and not nothing
    interval = ""
    if output.mean_interval:
        low, high = (f"{bound:+,.{decimals}f}" for bound in output.mean_interval)
        interval = f"95 % CI {low} to {high}, "
    return (
        f"{output.output}: the candidate's is {fixed(abs(mean), decimals)} "
        f"{'higher' if mean > 0 else 'lower'} on average ({interval}{n}), and half of them differ "
        f"by {fixed(half, decimals)} or more"
    )


def _same_threshold(output: OutputFigures) -> bool:
    primary, candidate = output.thresholds["primary"], output.thresholds["candidate"]
    return primary == candidate and len(primary) == 1


def _remarks(summary: Summary) -> Iterator[str]:
    for side in (summary.primary, summary.candidate):
        if len(side.models) > 1:
            models = ", ".join(f"{model} ({count:,})" for model, count in side.models.items())
            yield f"the figures mix {len(side.models)} models of the {side.side}: {models}"
    for output in summary.outputs:
        if output.alarms and _within_limits(output.alarms):
            yield f"{output.output}: {alarm_sentence(output, output.alarms)}: within the limit"
        for side_name, thresholds in output.thresholds.items():
            if len(thresholds) > 1:
                yield threshold_note(output.output, side_name, thresholds)
        if output.unscored:
            left_out = plural(output.unscored, "pair")
            yield f"{output.output}: left out for lack of a finite score on a side: {left_out}"
    cut = sum(worker.begin_removed for worker in summary.accounting.workers)
    if cut:
        yield (
            f"no start record of {plural(cut, 'worker')}: pairs before the first one found are "
            "taken as removed, not as lost"
        )
