"""Checks of single classes, of which there may be hundreds: only the worst one is reported.

They hold, and never roll back. ADVANCE needs all of them within their limits, so each may use the
whole error rate.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from flags.gate.checks.answers import excused
from flags.gate.evidence import Count, Paired
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import percent, points, times
from flags.gate.sequences import DifferenceSequence, RatioSequence, ShareSequence
from flags.gate.verdict import BY_GRAVITY, Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

EXPECTED: Final = 10
"""Expected labels of a class (if the primary is right) from which on having none is informative."""

AGAINST: Final = "against the primary's"
ACCURACY: Final = Wording(
    f"accuracy {{figure}} {AGAINST}",
    points,
    " points",
    counted="labels",
    wanted="labels",
)


@dataclass(frozen=True, slots=True)
class ClassEvidence:
    """How often each side predicts a class."""

    name: str
    """Name of the class."""
    predicted: Paired
    """All pairs, by the sides that predict the class."""
    caught: Paired
    """Pairs with this label, by the sides that predict the class."""


class Classes(Protocol):
    """The part of the evidence on an output that the checks of classes need."""

    @property
    def name(self) -> str:
        """Return the name of the output."""

    @property
    def classes(self) -> tuple[ClassEvidence, ...]:
        """Return all classes that a side predicts."""

    @property
    def labelled(self) -> int:
        """Return the number of labels that count."""


class ClassChecks:
    """The checks of an output's classes; `quality_shown`: labels show that the accuracy is kept."""

    def __init__(
        self, answer: Classes, playbook: Playbook, step: Step, *, quality_shown: bool
    ) -> None:
        self._answer, self._playbook, self._quality_shown = answer, playbook, quality_shown
        self._limits = playbook.gate_of(step, output=answer.name).advance
        self._wanted = playbook.labels_wanted(step) > 0
        self._required = step.stage is not Stage.DEPRECATION

    def agreement(self) -> Iterator[Check]:
        """Yield the class with the least overlap, and the one whose rate has changed most.

        The agreement over all classes does not show that two rare classes are swapped.
        """
        limits, classes = self._limits, self._answer.classes
        if limits.class_overlap:
            common = [each for each in classes if each.predicted.primary.count >= limits.min_alarms]
            yield from _gravest(self._excused(each, self._overlap(each)) for each in common)
        often = [
            each
            for each in classes
            if each.predicted.primary.count + each.predicted.candidate.count >= limits.min_alarms
        ]
        yield from _gravest(self._excused(each, self._ratio(each)) for each in often)

    def recall(self) -> Iterator[Check]:
        """Yield the class that has lost most recall.

        A class with few labels need not pass, but it fails if they show the loss.
        """
        found = (self._recall(each) for each in self._answer.classes if each.caught.pairs)
        least = self._limits.min_positives
        yield from _gravest(
            each for each in found if each.n >= least or each.outcome is Outcome.FAIL
        )

    def _excused(self, each: ClassEvidence, check: Check) -> Check:
        """Excuse a changed class if labels show that accuracy and the class's recall are kept."""
        return (
            excused(check, "labels show the accuracy")
            if self._quality_shown and self._is_kept(each)
            else check
        )

    def _is_kept(self, each: ClassEvidence) -> bool:
        caught, predicted = each.caught, each.predicted
        if not caught.pairs:
            # If none of many labels is this class, predicting it less often is no loss.
            expected = self._answer.labelled * (predicted.primary.rate or 0.0)
            return predicted.candidate.count < predicted.primary.count and expected >= EXPECTED
        lost = (caught.primary.count - caught.candidate.count) / caught.pairs
        return lost <= self._limits.class_recall_loss

    def _overlap(self, each: ClassEvidence) -> Check:
        predicted, limit = each.predicted, self._limits.class_overlap
        return LimitCheck(
            "class_overlap",
            ShareSequence(Count(predicted.both, predicted.primary.count)),
            Wording(
                f"the candidate predicts {each.name!r} in {{figure}} of the pairs in which the "
                "primary does",
                percent,
                " %",
            ),
            predicted.primary.count,
            predicted.pairs,
            low=Bounds(limit, limit),
            output=self._answer.name,
            required=self._required,
        ).answer(self._playbook.error_rate)

    def _ratio(self, each: ClassEvidence) -> Check:
        limit = self._limits.class_ratio
        return LimitCheck(
            "class_ratio",
            RatioSequence(each.predicted),
            Wording(f"rate of the class {each.name!r}: {{figure}} the primary's", times, "x"),
            each.predicted.pairs,
            each.predicted.pairs,
            high=Bounds(limit, limit),
            low=Bounds(1 / limit, 1 / limit),
            output=self._answer.name,
            required=self._required,
        ).answer(self._playbook.error_rate)

    def _recall(self, each: ClassEvidence) -> Check:
        limit = self._limits.class_recall_loss
        return LimitCheck(
            "class_recall_loss",
            DifferenceSequence(each.caught),
            replace(
                ACCURACY,
                what=f"recall of the class {each.name!r} {{figure}} {AGAINST}",
            ),
            each.caught.pairs,
            self._answer.labelled,
            low=Bounds(-limit, -limit),
            output=self._answer.name,
            required=self._wanted,
        ).answer(self._playbook.error_rate)


def _gravest(checks: Iterable[Check]) -> Iterator[Check]:
    """Yield the gravest of some checks; nothing if there are none."""
    found = min(checks, key=_gravity, default=None)
    if found is not None:
        yield found


def _gravity(check: Check) -> tuple[int, float]:
    """Sort key of checks of one name: by outcome, then by the distance from no change."""
    figure = check.figure or 0.0
    if check.name == "class_ratio":
        figure = min(figure, 1 / figure) if figure else 0.0
    return BY_GRAVITY.index(check.outcome), figure
