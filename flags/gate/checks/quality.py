"""Checks of recall and average precision on labelled pairs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.answered_labels import (
    AnsweredLabels,
    Follows,
    answered_labels,
    is_loss_shown,
    is_substantial,
    positives_by_answered_alarm,
)
from flags.gate.checks.early_labels import (
    MIN_EARLY_POSITIVES,
    RECALL,
    catches_half,
    early_recall_check,
)
from flags.gate.checks.units import has_unnamed_bursts, unit_recall
from flags.gate.error_rate import error_share
from flags.gate.evidence import Evidence, Labelling, Output, Paired, Quality
from flags.gate.label_fit import Fit, LabelFit, output_fit
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import plural, signed
from flags.gate.plain_check import plain
from flags.gate.selection import (
    Selection,
    caught,
    cells_of,
    coverage_words,
    selection,
    unlabelled_words,
)
from flags.gate.sequences import ConfidenceSequence, DifferenceSequence, NormalSequence
from flags.gate.sequences.weighted_recall import WeightedRecallSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook, Step

_WEIGHTED: Final = replace(
    RECALL, what="recall {figure} against the primary's, labels weighted by inverse coverage"
)
_PRECISION: Final = Wording(
    "average precision {figure} against the primary's",
    signed,
    counted="positives",
    wanted="labels",
)
_PLANNED: Final = 500
"""Positives at which the interval of the average precision is tightest."""

_UNKNOWN_RECALL: Final = (Selection.FLAGGED, Selection.POSITIVES)
"""Selections of labels by which recall is not known."""

_ONLY_POSITIVES: Final = (
    "only positives have labels, so a pair without one may be negative or not looked at"
)


def quality_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield recall and average precision of each output, and recall by segment.

    They must pass if the step demands labels. If it demands none, existing labels are checked too:
    recall may roll back, and a figure surely beyond its limit holds. Average precision never rolls
    back, because its interval is asymptotic.
    """
    if not playbook.expects_labels:
        return
    for output in evidence.outputs:
        if output.quality is not None:
            yield from _Quality(output, output.quality, evidence, playbook, step).checks()


class _Quality:
    """The checks of one output."""

    def __init__(
        self, output: Output, quality: Quality, evidence: Evidence, playbook: Playbook, step: Step
    ) -> None:
        self._output, self._quality, self._evidence = output, quality, evidence
        self._playbook, self._step = playbook, step
        self._gate: Gate = playbook.gate_of(step, output=output.name)
        self._wanted = playbook.labels_wanted(step) > 0
        self._labelling = labelling = output.labelling or Labelling((), (), {}, None)
        self._strata = labelling.old
        self._selection = selection(labelling.old, self._gate.advance.label_coverage_gap)
        self._fit = output_fit(output, quality)
        self._answered = answered_labels(labelling.old, labelling.mean_burst_size)

    def checks(self) -> Iterator[Check]:
        if self._output.alarms is not None:
            yield self._recall()
        yield self._average_precision()
        if self._selection is Selection.NONE and self._unfit is None and self._answered is None:
            yield from self._segments()

    def _recall(self) -> Check:
        if self._answered is not None and self._selection not in _UNKNOWN_RECALL:
            return self._inconclusive("recall_loss", self._answered.unknown_reason("recall"))
        if self._unfit is not None and self._selection not in _UNKNOWN_RECALL:
            return self._unfit_check("recall_loss", self._unfit, "recall")
        if self._selection in _UNKNOWN_RECALL:
            is_flagged = self._selection is Selection.FLAGGED
            why = unlabelled_words(self._strata) if is_flagged else _ONLY_POSITIVES
            covered = coverage_words(cells_of(self._strata))
            reason = f"{why}, so recall is not known: {covered}"
            check = self._inconclusive("recall_loss", reason)
            return replace(check, required=self._wanted or is_flagged)
        advance, rollback = self._gate.advance, self._gate.rollback
        caught = self._quality.caught
        bounds = Bounds(-advance.recall_loss, -rollback.recall_loss)
        if self._selection is Selection.WEIGHTED:
            strata = tuple(each for each in self._strata if each.primary_alarm is not None)
            weighted = WeightedRecallSequence(strata).scaled(self._independent)
            check = self._limited("recall_loss", weighted, _WEIGHTED, bounds)
            covered = f" ({coverage_words(cells_of(strata))})"
            return replace(check, reason=check.reason + covered)
        outputs = self._evidence.sharing
        share = error_share(self._playbook.error_rate, "recall_loss", outputs)
        check = self._limited("recall_loss", DifferenceSequence(caught), RECALL, bounds, share)
        check = self._unless_labels_follow(check)
        if check.outcome is Outcome.PASS and not self._is_half_caught(caught):
            return self._too_few_caught(check, caught)
        early = early_recall_check(self._labelling, self._gate, self._playbook.error_rate)
        if self._wanted or early is None or check.outcome is not Outcome.INCONCLUSIVE:
            return check
        return replace(check, reason=early.reason, more_needed=early.more_needed, required=True)

    def _unless_labels_follow(self, check: Check) -> Check:
        """Return the check, without a result that labels which depend on the answer may cause.

        If answered alarms find positives, recall may seem lost: then it does not roll back. If they
        prevent positives, a loss may be hidden: then it does not pass.
        """
        alarmed, _ = positives_by_answered_alarm(self._strata)
        alpha = self._playbook.error_rate / 2
        if check.outcome is Outcome.FAIL and not is_loss_shown(
            self._strata, alpha, self._independent
        ):
            own = caught(each for each in self._strata if each.served == "candidate")
            reason = (
                f"{check.reason}; no rollback until labels of what the candidate answered show a "
                f"loss too ({plural(own.pairs, 'positive')}, {own.candidate.count:,} with its "
                f"alarm, {own.primary.count:,} with the primary's): are answered alarms looked "
                "into rather than others?"
            )
            return replace(check, reason=reason, rolls_back=False)
        if check.outcome is Outcome.PASS and not is_substantial(alarmed, alpha):
            reason = (
                f"{check.reason}, but {alarmed.count:,} of {alarmed.total:,} positives had an "
                "alarm of the side that answered: does an answered alarm prevent them?"
            )
            return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason)
        if check.outcome is Outcome.PASS and (found := self._prevented):
            reason = f"{check.reason}, but with the labels that do not count yet, "
            reason += found.unknown_reason("recall")
            return replace(
                check, outcome=Outcome.INCONCLUSIVE, reason=reason, beyond_advance_limit=True
            )
        return check

    @property
    def _prevented(self) -> AnsweredLabels | None:
        """Return that answered alarms prevent positives, by all labels; None if not shown.

        Labels that count may all be of the shadow, in which only the primary answered: they cannot
        show it. Young labels may come sooner for alarms, but not later, so fewer positives show it.
        """
        labelling = self._labelling
        found = answered_labels((*labelling.old, *labelling.young), labelling.mean_burst_size)
        return found if found and found.follows is Follows.PREVENTED else None

    def _is_half_caught(self, caught: Paired) -> bool:
        return catches_half(caught, self._playbook.error_rate / 2, self._independent)

    def _too_few_caught(self, check: Check, caught: Paired) -> Check:
        """Return the check without its pass, which may hide that the candidate lost most of recall.

        If the primary catches few positives, the limit in points allows to lose all of them.
        """
        primary, candidate = caught.primary.count, caught.candidate.count
        reason = (
            f"{check.reason}, but the candidate catches {candidate:,} of these positives and the "
            f"primary {primary:,}: not surely half as many"
        )
        required = self._wanted or 2 * candidate < primary
        return replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason, required=required)

    def _average_precision(self) -> Check:
        loss = -self._average_precision_loss
        if self._selection is not Selection.NONE or self._answered is not None:
            reason = (
                "average precision is not compared: which pairs have labels depends on what the "
                "sides decided"
            )
            return replace(self._inconclusive("average_precision_loss", reason), required=False)
        if self._unfit is not None:
            return self._unfit_check("average_precision_loss", self._unfit, "average precision")
        quality = self._quality
        sequence = NormalSequence(
            quality.average_precision_difference,
            quality.standard_error,
            quality.positives,
            _PLANNED,
        ).scaled(self._independent)
        return self._limited("average_precision_loss", sequence, _PRECISION, Bounds(loss, loss))

    @property
    def _average_precision_loss(self) -> float:
        """Return the limit; without alarms, at most half of the primary's gain over chance."""
        limit, quality = self._gate.advance.average_precision_loss, self._quality
        primary = quality.primary.average_precision
        if self._output.alarms is not None or primary is None or not quality.labelled:
            return limit
        above_chance = primary - quality.positives / quality.labelled
        return min(limit, above_chance / 2) if above_chance > 0 else limit

    def _segments(self) -> Iterator[Check]:
        """Yield the recall of each segment with positives; it may hold, and never rolls back."""
        playbook = self._playbook
        checked = [
            each
            for each in self._output.segments
            if each.caught.pairs
            and (playbook.segments is None or each.segment in playbook.segments)
        ]
        for each in checked:
            gate = playbook.gate_of(self._step, output=self._output.name, segment=each.segment)
            loss = -gate.advance.segment_recall_loss
            check = LimitCheck(
                "segment_recall_loss",
                DifferenceSequence(each.caught, self._independent),
                RECALL,
                each.caught.pairs,
                self._quality.labelled,
                low=Bounds(loss, loss),
                output=self._output.name,
                segment=f"{each.segment}={'(none)' if each.value is None else each.value}",
                required=self._wanted and each.caught.pairs >= gate.advance.min_positives,
            )
            yield check.answer(playbook.error_rate, playbook.error_rate / len(checked))

    def _limited(
        self,
        name: str,
        sequence: ConfidenceSequence,
        wording: Wording,
        bounds: Bounds,
        share: float | None = None,
    ) -> Check:
        """Return the check of a sequence; with too few positives it cannot pass.

        A loss beyond the limit also holds a step that demands no labels, if it surely is a loss.
        """
        quality, error_rate = self._quality, self._playbook.error_rate
        value = sequence.value
        lost = value is not None and value < bounds.advance
        lost = lost and (sequence.below(0, error_rate / 2) or self._holds_by_estimate(name))
        by_unit, fails_by = unit_recall(quality.by_unit) if share else (None, None)
        has_units = quality.by_unit is None or quality.by_unit.has_units
        bursts = share is not None and has_unnamed_bursts(self._output)
        wanted = self._gate.advance.min_positives
        few = quality.positives < wanted
        check = LimitCheck(
            name,
            sequence,
            wording,
            quality.positives,
            quality.labelled,
            low=bounds,
            output=self._output.name,
            rolls_back=share is not None and not bursts,
            required=(self._wanted or lost) and not few,  # of few nothing is projected
            by_unit=by_unit,
            units=by_unit.units if by_unit and has_units else 0,
            fails_by=fails_by if has_units else sequence,
            confirmed_by=None if has_units else by_unit,
        ).answer(error_rate, share)
        if bursts and check.outcome is Outcome.FAIL:
            reason = f"{check.reason}, of requests that come in bursts and name no unit"
            return replace(check, reason=reason)
        # With so few positives a normal approximation is not valid; an exact interval may fail.
        if few and (check.outcome is not Outcome.FAIL or isinstance(sequence, NormalSequence)):
            lacking = wanted - quality.positives
            reason = (
                f"{check.reason}: only {plural(quality.positives, 'positive')}, {wanted:,} wanted: "
                f"{lacking:,} more needed"
            )
            return replace(
                check,
                outcome=Outcome.INCONCLUSIVE,
                reason=reason,
                required=self._wanted or (lost and not isinstance(sequence, NormalSequence)),
            )
        return check

    @property
    def _independent(self) -> float:
        """Return the effective share of independent positives: those of a unit may be alike."""
        by_unit = self._quality.by_unit
        return by_unit.independent if by_unit else 1.0

    def _holds_by_estimate(self, name: str) -> bool:
        """Say whether an estimate alone holds: only it shows quality, with enough positives."""
        positives = self._quality.positives
        if name == "recall_loss":
            return self._selection is Selection.WEIGHTED and positives >= MIN_EARLY_POSITIVES
        return self._output.alarms is None and positives >= self._gate.advance.min_positives

    @property
    def _unfit(self) -> LabelFit | None:
        """Return the fit if the labels do not fit; None if they fit or are too few."""
        few = self._quality.positives < self._gate.advance.min_positives
        is_early = few and self._fit.fit is Fit.OPEN
        return None if self._fit.is_shown or is_early else self._fit

    def _unfit_check(self, name: str, unfit: LabelFit, what: str) -> Check:
        """Return the inconclusive check of labels that do not fit; one per output holds."""
        check = self._inconclusive(name, unfit.unknown_reason(what))
        holds = name == "recall_loss" or self._output.alarms is None
        return replace(check, required=holds and (self._wanted or unfit.fit is Fit.CONTRARY))

    def _inconclusive(self, name: str, reason: str) -> Check:
        labelled = self._quality.labelled
        return plain(name, Outcome.INCONCLUSIVE, labelled, reason, output=self._output.name)
