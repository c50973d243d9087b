"""Checks of an output that is one of several classes: agreement, and accuracy by labels.

Accuracy is compared on the same requests, by those that one side alone gets right (the cells of
McNemar's test), with a confidence sequence by betting. It may roll back; the checks of agreement
and of single classes only hold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from flags.gate.checks.age import after_a_day
from flags.gate.checks.answers import excused, unread_answers, with_enough_labels
from flags.gate.checks.classes import ACCURACY, ClassChecks, ClassEvidence
from flags.gate.checks.levels import KindChecks, level_check, mean_of
from flags.gate.checks.parts import PartLimit, Quality, part_checks
from flags.gate.checks.selected import LabelsByAnswer, selected_labels, unfit_labels
from flags.gate.error_rate import error_share
from flags.gate.evidence import UNWRITTEN, AnswerEvidence, Count, Evidence, UnitShare
from flags.gate.label_fit import FITS, LabelFit, fit_or_early, shares_fit
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import percent
from flags.gate.plain_check import plain
from flags.gate.sequences import ShareSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step


@dataclass(frozen=True, slots=True)
class ClassChange:
    """The number of pairs in which the primary predicts one class and the candidate another."""

    primary: str
    """Class that the primary predicts."""
    candidate: str
    """Class that the candidate predicts."""
    pairs: int


@dataclass(frozen=True, slots=True)
class CategoryQuality:
    """The quality of a side's classes on the labelled pairs."""

    accuracy: Count
    """Labelled pairs whose class is right."""
    macro_f1: float
    """Mean F1 of all classes, each with the same weight."""
    macro_recall: float
    """Mean recall of all labelled classes, each with the same weight."""
    top_k_accuracy: Count | None
    """Pairs whose label is among the recorded likeliest classes; None if no probabilities are
    recorded."""
    chance_accuracy: float = 0.0
    """The accuracy that the same classes would have if they were assigned at random."""


@dataclass(frozen=True, slots=True)
class CategoryEvidence(AnswerEvidence):
    """The evidence on an output that is a class: agreement, and with labels accuracy."""

    unreadable: int
    """Pairs in which both sides answered and a class could not be read."""
    agreement: Count
    """Pairs in which both sides predict the same class."""
    classes: tuple[ClassEvidence, ...]
    """By class, how often each side predicts it."""
    changes: tuple[ClassChange, ...]
    """At most 1,000, the most frequent ones first."""
    primary: CategoryQuality | None
    """None without labels."""
    candidate: CategoryQuality | None
    """None without labels."""
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]] = field(metadata=UNWRITTEN)
    """The figure `right` is 1 if the candidate alone is right, -1 if the primary alone is right.

    `right_primary` and `right_candidate` are the same figure on the pairs that each side answered.
    """
    coverage: Mapping[str, Count]
    """By served side, the labelled pairs of all pairs old enough for a label."""
    coverage_p: float | None
    """P-value of Fisher's exact test that the coverage does not depend on the served side."""
    never_predicted: Count
    """Labels that name a class that no side ever predicts, of all labels."""
    never_predicted_names: tuple[str, ...]
    """Some of these classes, at most 3."""
    similar_names: tuple[tuple[str, ...], ...] = ()
    """Groups of class names that differ in case and spaces only; they are different classes. At
    most 3."""


_AGREEMENT: Final = Wording("both sides predict the same class in {figure}", percent, " %")
EVIDENCE: Final = CategoryEvidence
"""Class of the first argument of `checks`."""


def checks(
    answer: CategoryEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Iterator[Check]:
    """Yield the checks of an output that is a class."""
    yield from _CategoryChecks(answer, evidence, playbook, step).checks()


class _CategoryChecks(KindChecks[CategoryEvidence]):
    def __init__(
        self, answer: CategoryEvidence, evidence: Evidence, playbook: Playbook, step: Step
    ) -> None:
        super().__init__(answer, evidence, playbook, step)
        self._by_answer = LabelsByAnswer(
            answer, "right", mean_of(-1.0), ACCURACY, 1, playbook.error_rate
        )

    def checks(self) -> Iterator[Check]:
        accuracy = self._accuracy() if self._labelled else None
        quality_shown = accuracy is not None and accuracy.outcome is Outcome.PASS
        if self._answer.unreadable:
            limit = self._gate.advance.uncompared
            yield unread_answers(self._answer, self._answer.unreadable, limit, "a class")
        agreement = self._agreement()
        yield excused(agreement, "labels show the accuracy") if quality_shown else agreement
        classes = ClassChecks(self._answer, self._playbook, self._step, quality_shown=quality_shown)
        yield from classes.agreement()
        if accuracy is not None:
            if self._answer.never_predicted.count:
                yield self._never_predicted()
            yield accuracy
            if self._fit.is_shown and self._contradiction() is None:
                yield from classes.recall()
        yield from self._parts(quality_shown=quality_shown)

    def _parts(self, *, quality_shown: bool) -> Iterator[Check]:
        advance = self._gate.advance
        agreement = PartLimit(
            "agrees", mean_of(0.0), _AGREEMENT, low=advance.class_agreement, is_share=True
        )
        accuracy = PartLimit(
            "right", mean_of(-1.0), ACCURACY, low=-advance.accuracy_loss, is_quality=True
        )
        is_early = self._playbook.expects_labels and self._answer.early_labels.count > 0
        has_labels = (self._labelled or is_early) and self._contradiction() is None
        limits = [agreement, accuracy] if has_labels else [agreement]
        quality = Quality(accuracy, "right", advance.min_positives)
        yield from part_checks(
            self._answer, self._playbook, self._step, limits, quality, quality_shown=quality_shown
        )

    def _never_predicted(self) -> Check:
        """Check that few labels name classes that no side ever predicts: both are wrong there."""
        never, limit = self._answer.never_predicted, self._gate.advance.unknown_labels
        names = ", ".join(repr(name) for name in self._answer.never_predicted_names)
        share = never.rate or 0.0
        reason = (
            f"{percent(share)} % of the labels name classes that no side ever predicts ({names}), "
            f"limit {percent(limit)} %"
        )
        if share > limit:
            reason += ": say which classes they stand for (label values)"
            reason += f"; {self._similar_names}" if self._similar_names else ""
        check = plain(
            "never_predicted_labels",
            Outcome.FAIL if share > limit else Outcome.PASS,
            never.total,
            reason,
            figure=share,
            limit=limit,
        )
        return replace(check, output=self._answer.name, required=False)

    def _agreement(self) -> Check:
        limit = self._gate.advance.class_agreement
        check = LimitCheck(
            "class_agreement",
            ShareSequence(self._answer.agreement),
            _AGREEMENT,
            self._answer.paired,
            self._answer.paired,
            low=Bounds(limit, limit),
            output=self._answer.name,
            required=self._required,
        ).answer(self._playbook.error_rate)
        return self._with_similar_names(check)

    def _with_similar_names(self, check: Check) -> Check:
        """Add the probable cause of a difference to the reason: similar class names."""
        if check.outcome is Outcome.PASS or not self._similar_names:
            return check
        return replace(check, reason=f"{check.reason}; {self._similar_names}")

    @property
    def _similar_names(self) -> str:
        """Return, in words, class names that probably mean the same class; empty without any."""
        if not self._answer.similar_names:
            return ""
        names = " and ".join(repr(name) for name in self._answer.similar_names[0])
        return f"{names} differ in case or spaces only, and are not the same class"

    @property
    def _fit(self) -> LabelFit:
        """Return whether the labels fit the sides' classes; too few labels count as fitting."""
        answer = self._answer
        if answer.primary is None or answer.candidate is None:
            return FITS
        sides = {"primary": answer.primary, "candidate": answer.candidate}
        shares = {side: (each.accuracy, each.chance_accuracy) for side, each in sides.items()}
        how = shares_fit("classes", "is right in", shares)
        return fit_or_early(how, answer.labelled, self._gate.advance.min_positives)

    def _contradiction(self) -> Check | None:
        return self._by_answer.contradiction("accuracy_loss", "accuracy", required=self._wanted)

    def _accuracy(self) -> Check:
        answer, playbook = self._answer, self._playbook
        limits = self._gate.advance
        gap = limits.label_coverage_gap
        if open_ := selected_labels(
            answer, "accuracy_loss", "accuracy", gap, required=self._wanted
        ):
            return open_
        if open_ := unfit_labels(answer, "accuracy_loss", "accuracy", self._fit, self._wanted):
            return open_
        if open_ := self._contradiction():
            return open_
        check = replace(
            level_check(answer, "accuracy_loss", "right", ACCURACY, -1.0),
            n=answer.labelled,
            available=answer.labelled,
            low=Bounds(-limits.accuracy_loss, -self._gate.rollback.accuracy_loss),
            rolls_back=True,
            required=self._wanted,
        ).answer(
            playbook.error_rate,
            error_share(playbook.error_rate, "accuracy_loss", self._evidence.sharing),
        )
        rollout = self._evidence.window.rollout
        check = after_a_day(
            self._evidence,
            self._by_answer.of_answers(check, rollout, self._gate.rollback.accuracy_loss),
        )
        check = with_enough_labels(check, answer.labelled, limits.min_positives)
        surely = check.high is not None and check.high < -limits.accuracy_loss
        return self._with_similar_names(replace(check, required=check.required or surely))
