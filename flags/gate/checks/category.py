"""Checks of a class out of several: what the sides have in common, and with labels who is right.

Accuracy is compared on the same requests: of those that one side alone gets right, the cells of
McNemar's test, by a sequence of betting that holds at every look. It may roll back; what the sides
have in common, and single classes, only hold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from flags.gate.checks.answers import excused, unread_answers
from flags.gate.checks.integrity import plain
from flags.gate.checks.selected import labels_depend_on_side
from flags.gate.error_rate import error_share
from flags.gate.evidence import AnswerEvidence, Count, Evidence, Paired, UnitShare
from flags.gate.limit_check import Bounds, LimitCheck, Wording, percent, points, times
from flags.gate.sequences import DifferenceSequence, MeanSequence, RatioSequence, ShareSequence
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Gate, Playbook, Step
from flags.playbook.stages import Stage


@dataclass(frozen=True, slots=True)
class ClassEvidence:
    """Hold how often each side says a class: of all pairs, and of those that are of it."""

    name: str
    said: Paired
    caught: Paired


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
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]]
    """Of `right`: 1 where the candidate alone is right, -1 where the primary alone is."""
    coverage: Mapping[str, Count]
    """By served side, labelled of all pairs old enough for a label."""
    coverage_p: float | None
    unsaid: Count
    """Labels that name a class that no side ever says."""
    unsaid_names: tuple[str, ...]


_AGREEMENT: Final = Wording("both sides say the same class in {figure}", percent, " %")
_ACCURACY: Final = Wording(
    "accuracy {figure} against the primary's",
    points,
    " points",
    counted="labels",
    wanted="labels",
)


EVIDENCE: Final = CategoryEvidence
"""What `flags.gate.checks.answers` hands to `checks`."""


def checks(
    found: CategoryEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Iterator[Check]:
    """Yield the checks of an output."""
    yield from _CategoryChecks(found, evidence, playbook, step).checks()


class _CategoryChecks:
    def __init__(
        self, found: CategoryEvidence, evidence: Evidence, playbook: Playbook, step: Step
    ) -> None:
        self._found, self._evidence, self._playbook = found, evidence, playbook
        self._gate: Gate = playbook.gate_of(step, output=found.name)
        self._wanted = playbook.labels_wanted(step) > 0
        self._required = step.stage is not Stage.DEPRECATION
        self._labelled = bool(found.labelled and playbook.expects_labels)

    def checks(self) -> Iterator[Check]:
        accuracy = self._accuracy() if self._labelled else None
        shown = accuracy is not None and accuracy.outcome is Outcome.PASS
        if self._found.unread:
            limit = self._gate.advance.uncompared
            yield unread_answers(self._found, self._found.unread, limit, "a class")
        for check in (self._agreement(), self._furthest_ratio()):
            if check is not None:
                yield excused(check, "accuracy") if shown else check
        if accuracy is not None:
            yield accuracy
            if (recall := self._worst_recall()) is not None:
                yield recall

    def _agreement(self) -> Check:
        limit = self._gate.advance.class_agreement
        return LimitCheck(
            "class_agreement",
            ShareSequence(self._found.agreement),
            _AGREEMENT,
            self._found.paired,
            self._found.paired,
            low=Bounds(limit, limit),
            output=self._found.name,
            required=self._required,
        ).answer(self._playbook.error_rate)

    def _furthest_ratio(self) -> Check | None:
        """Return the ratio of the class whose rate has changed most, of those said often enough.

        ADVANCE needs all of them within the limit, so each may use the whole error rate.
        """
        limits = self._gate.advance
        often = [
            each
            for each in self._found.classes
            if each.said.primary.count + each.said.candidate.count >= limits.min_alarms
        ]
        found = [self._ratio(each, limits.class_ratio) for each in often]
        return min(found, key=_gravity, default=None)

    def _ratio(self, each: ClassEvidence, limit: float) -> Check:
        return LimitCheck(
            "class_ratio",
            RatioSequence(each.said),
            Wording(f"rate of the class {each.name!r}: {{figure}} the primary's", times, "x"),
            each.said.pairs,
            each.said.pairs,
            high=Bounds(limit, limit),
            low=Bounds(1 / limit, 1 / limit),
            output=self._found.name,
            required=self._required,
        ).answer(self._playbook.error_rate)

    def _accuracy(self) -> Check:
        found, playbook = self._found, self._playbook
        limits = self._gate.advance
        if covered := labels_depend_on_side(found, limits.label_coverage_gap):
            reason = f"labels depend on who answered ({covered}), so accuracy is not compared"
            check = plain("accuracy_loss", Outcome.INCONCLUSIVE, found.labelled, reason)
            return replace(check, output=found.name, required=self._wanted)
        ways = found.levels.get("right", {})
        by = {way: MeanSequence(values, -1.0) for way, values in ways.items()}
        units = sum(each.units for each in ways.get("block", ())) if found.units else 0
        check = LimitCheck(
            "accuracy_loss",
            by["request"],
            _ACCURACY,
            found.labelled,
            found.labelled,
            low=Bounds(-limits.accuracy_loss, -self._gate.rollback.accuracy_loss),
            output=found.name,
            rolls_back=True,
            required=self._wanted,
            by_unit=by["block"],
            units=units,
            fails_by=by.get("unit", by["block"]),
        ).answer(
            playbook.error_rate,
            error_share(playbook.error_rate, "accuracy_loss", self._evidence.sharing),
        )
        wanted = limits.min_positives
        if found.labelled < wanted and check.outcome is Outcome.PASS:
            reason = f"{check.reason}: only {found.labelled:,} labels, {wanted:,} wanted"
            check = replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason)
        surely = check.high is not None and check.high < -limits.accuracy_loss
        return replace(check, required=check.required or surely)

    def _worst_recall(self) -> Check | None:
        """Return the recall of the class that has lost most, of those with enough labels."""
        limits = self._gate.advance
        found = [
            LimitCheck(
                "class_recall_loss",
                DifferenceSequence(each.caught),
                Wording(
                    f"recall of the class {each.name!r} {{figure}} against the primary's",
                    points,
                    " points",
                    counted="labels",
                    wanted="labels",
                ),
                each.caught.pairs,
                self._found.labelled,
                low=Bounds(-limits.class_recall_loss, -limits.class_recall_loss),
                output=self._found.name,
                required=self._wanted,
            ).answer(self._playbook.error_rate)
            for each in self._found.classes
            if each.caught.pairs >= limits.min_positives
        ]
        return min(found, key=_gravity, default=None)


_GRAVITY: Final = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}


def _gravity(check: Check) -> tuple[int, float]:
    """Order checks of one name: what failed first, then what is furthest from no change."""
    figure = check.figure or 0.0
    if check.name == "class_ratio":
        figure = min(figure, 1 / figure) if figure else 0.0
    return _GRAVITY[check.outcome], figure
