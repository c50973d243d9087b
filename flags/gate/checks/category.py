"""Checks of a class out of several: what the sides have in common, and with labels who is right.

Accuracy is compared on the same requests: of those that one side alone gets right, the cells of
McNemar's test, by a sequence of betting that holds at every look. It may roll back; what the sides
have in common, and single classes, only hold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from flags.gate.checks.age import young
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
    """Count the pairs in which the primary says one class and the candidate another."""

    primary: str
    candidate: str
    pairs: int


@dataclass(frozen=True, slots=True)
class CategoryQuality:
    """Say how right a side is on the labelled pairs."""

    accuracy: Count
    macro_f1: float
    """Mean of all classes, each of the same weight."""
    macro_recall: float
    top: Count | None
    """Labels among the likeliest classes; None where no probabilities are recorded."""
    chance: float = 0.0
    """The accuracy that the same classes would have, were they said of other requests."""


@dataclass(frozen=True, slots=True)
class CategoryEvidence(AnswerEvidence):
    """Compare the classes that both sides say, and with labels which of them are right."""

    unread: int
    """Pairs in which both answered and a class could not be read."""
    agreement: Count
    classes: tuple[ClassEvidence, ...]
    changes: tuple[ClassChange, ...]
    """At most 1,000, those with most pairs first."""
    primary: CategoryQuality | None
    candidate: CategoryQuality | None
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]] = field(metadata=UNWRITTEN)
    """Of `right`: 1 where the candidate alone is right, -1 where the primary alone is.

    `right_primary` and `right_candidate` are of the pairs that each side answered.
    """
    coverage: Mapping[str, Count]
    """By served side, labelled of all pairs old enough for a label."""
    coverage_p: float | None
    unsaid: Count
    """Labels that name a class that no side ever says."""
    unsaid_names: tuple[str, ...]
    alike: tuple[tuple[str, ...], ...] = ()
    """Names, of sides and labels, that differ in case and spaces only: they are other classes."""


_AGREEMENT: Final = Wording("both sides say the same class in {figure}", percent, " %")
EVIDENCE: Final = CategoryEvidence
"""What `flags.gate.checks.answers` hands to `checks`."""


def checks(
    found: CategoryEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Iterator[Check]:
    """Yield the checks of an output."""
    yield from _CategoryChecks(found, evidence, playbook, step).checks()


class _CategoryChecks(KindChecks[CategoryEvidence]):
    def __init__(
        self, found: CategoryEvidence, evidence: Evidence, playbook: Playbook, step: Step
    ) -> None:
        super().__init__(found, evidence, playbook, step)
        self._by_answer = LabelsByAnswer(
            found, "right", mean_of(-1.0), ACCURACY, 1, playbook.error_rate
        )

    def checks(self) -> Iterator[Check]:
        accuracy = self._accuracy() if self._labelled else None
        shown = accuracy is not None and accuracy.outcome is Outcome.PASS
        if self._found.unread:
            limit = self._gate.advance.uncompared
            yield unread_answers(self._found, self._found.unread, limit, "a class")
        agreement = self._agreement()
        yield excused(agreement, "labels show the accuracy") if shown else agreement
        classes = ClassChecks(self._found, self._playbook, self._step, shown=shown)
        yield from classes.agreement()
        if accuracy is not None:
            if self._found.unsaid.count:
                yield self._unsaid()
            yield accuracy
            if self._fit.is_shown and self._contradiction() is None:
                yield from classes.recall()
        yield from self._parts(shown=shown)

    def _parts(self, *, shown: bool) -> Iterator[Check]:
        advance = self._gate.advance
        agreement = PartLimit(
            "agrees", mean_of(0.0), _AGREEMENT, low=advance.class_agreement, is_share=True
        )
        accuracy = PartLimit(
            "right", mean_of(-1.0), ACCURACY, low=-advance.accuracy_loss, is_quality=True
        )
        is_early = self._playbook.expects_labels and self._found.young.count > 0
        has_labels = (self._labelled or is_early) and self._contradiction() is None
        limits = [agreement, accuracy] if has_labels else [agreement]
        quality = Quality(accuracy, "right", advance.min_positives)
        yield from part_checks(
            self._found, self._playbook, self._step, limits, quality, shown=shown
        )

    def _unsaid(self) -> Check:
        """Hold where labels name classes that no side ever says: both sides are wrong there."""
        unsaid, limit = self._found.unsaid, self._gate.advance.unknown_labels
        names = ", ".join(repr(name) for name in self._found.unsaid_names)
        share = unsaid.rate or 0.0
        reason = (
            f"{percent(share)} % of the labels name classes that no side ever says ({names}), "
            f"limit {percent(limit)} %"
        )
        if share > limit:
            reason += ": say which classes they stand for (label values)"
            reason += f"; {self._alike}" if self._alike else ""
        check = plain(
            "unsaid_labels",
            Outcome.FAIL if share > limit else Outcome.PASS,
            unsaid.total,
            reason,
            figure=share,
            limit=limit,
        )
        return replace(check, output=self._found.name, required=False)

    def _agreement(self) -> Check:
        limit = self._gate.advance.class_agreement
        check = LimitCheck(
            "class_agreement",
            ShareSequence(self._found.agreement),
            _AGREEMENT,
            self._found.paired,
            self._found.paired,
            low=Bounds(limit, limit),
            output=self._found.name,
            required=self._required,
        ).answer(self._playbook.error_rate)
        return self._with_alike(check)

    def _with_alike(self, check: Check) -> Check:
        """Add what probably is the cause of a difference."""
        if check.outcome is Outcome.PASS or not self._alike:
            return check
        return replace(check, reason=f"{check.reason}; {self._alike}")

    @property
    def _alike(self) -> str:
        """Name classes that are probably meant to be the same."""
        if not self._found.alike:
            return ""
        names = " and ".join(repr(name) for name in self._found.alike[0])
        return f"{names} differ in case or spaces only, and are not the same class"

    @property
    def _fit(self) -> LabelFit:
        """Say whether the labels go with what a side says; of few labels nothing is said yet."""
        found = self._found
        if found.primary is None or found.candidate is None:
            return FITS
        sides = {"primary": found.primary, "candidate": found.candidate}
        shares = {side: (each.accuracy, each.chance) for side, each in sides.items()}
        how = shares_fit("classes", "is right in", shares)
        return fit_or_early(how, found.labelled, self._gate.advance.min_positives)

    def _contradiction(self) -> Check | None:
        return self._by_answer.contradiction("accuracy_loss", "accuracy", required=self._wanted)

    def _accuracy(self) -> Check:
        found, playbook = self._found, self._playbook
        limits = self._gate.advance
        gap = limits.label_coverage_gap
        if open_ := selected_labels(found, "accuracy_loss", "accuracy", gap, required=self._wanted):
            return open_
        if open_ := unfit_labels(found, "accuracy_loss", "accuracy", self._fit, self._wanted):
            return open_
        if open_ := self._contradiction():
            return open_
        check = replace(
            level_check(found, "accuracy_loss", "right", ACCURACY, -1.0),
            n=found.labelled,
            available=found.labelled,
            low=Bounds(-limits.accuracy_loss, -self._gate.rollback.accuracy_loss),
            rolls_back=True,
            required=self._wanted,
        ).answer(
            playbook.error_rate,
            error_share(playbook.error_rate, "accuracy_loss", self._evidence.sharing),
        )
        rollout = self._evidence.window.rollout
        check = young(
            self._evidence,
            self._by_answer.of_answers(check, rollout, self._gate.rollback.accuracy_loss),
        )
        check = with_enough_labels(check, found.labelled, limits.min_positives)
        surely = check.high is not None and check.high < -limits.accuracy_loss
        return self._with_alike(replace(check, required=check.required or surely))
