"""What labels say: which pairs have one, and how right both sides are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flags.gate.evidence.counts import Count, Interval, Paired, UnitShare


@dataclass(frozen=True, slots=True)
class Reliability:
    """Hold one bin of a calibration curve: mean score, positives of total."""

    score: float
    positives: Count


@dataclass(frozen=True, slots=True)
class SideQuality:
    """Describe one side on the labelled pairs; None where it cannot be computed."""

    average_precision: float | None
    brier: float | None
    precision: Count
    """Of the alarms, those that were positive."""
    recall: Count
    """Of the positives, those that were alarms."""
    precision_at_volume: Count
    """The same at the primary's number of alarms: its own for the primary."""
    recall_at_volume: Count
    reliability: tuple[Reliability, ...]
    roc_auc: float | None = None
    """Probability that a positive has a higher score than a negative; a tie is half of one."""


@dataclass(frozen=True, slots=True)
class UnitRecall:
    """Say by unit how many of its positives each side alarmed: candidate's share less primary's."""

    shares: tuple[UnitShare, ...]
    """By unit and block, each with the same weight."""
    once: tuple[UnitShare, ...]
    """Each unit once in the window."""
    alike: float
    """How many positives count as one, if those of a unit and block are wholly alike."""
    design_effect: float
    """Of the shares of a unit between blocks; 1 if they are independent."""

    @property
    def independent(self) -> float:
        """Return the share of positives that count where those of a unit are alike."""
        return 1 / (self.alike * max(1.0, self.design_effect))


@dataclass(frozen=True, slots=True)
class Quality:
    """Say how right both sides are on the pairs whose label has come, and counts.

    `caught` counts alarms among the positives, `false_alarms` among the negatives, paired: recall
    and false alarm rate are compared on these. `average_precision_difference` (candidate less
    primary) has a paired bootstrap interval and its standard error. All of it is of the labelled
    pairs alone: `Labelling` says what they stand for.
    """

    labelled: int
    positives: int
    primary: SideQuality
    candidate: SideQuality
    caught: Paired
    false_alarms: Paired
    average_precision_difference: Interval
    standard_error: float | None
    mcnemar_mid_p: float
    """Of right and wrong alarms: whether the flips favour a side."""
    by_unit: UnitRecall | None = None
    """None where no pair names a unit."""


@dataclass(frozen=True, slots=True)
class LabelledCell:
    """Count pairs by who answered and by both alarms: all of them, and those with a label.

    Alarms are None where they are not known of both sides, `served` where nobody answered.
    """

    served: str | None
    primary_alarm: bool | None
    candidate_alarm: bool | None
    pairs: int
    positives: int
    negatives: int

    @property
    def labelled(self) -> int:
        """Count the pairs with a label."""
        return self.positives + self.negatives


@dataclass(frozen=True, slots=True)
class Labelling:
    """Say which pairs have a label of an output: of those old enough for one, and of the others.

    Labels of the `young` do not count yet: which of them come early is not known.
    """

    old: tuple[LabelledCell, ...]
    young: tuple[LabelledCell, ...]
    coverage: Mapping[str, Count]
    """By served side, labelled of all pairs old enough to be labelled."""
    coverage_p: float | None
    """Fisher's exact test that the coverage does not depend on the served side."""
    alike: float = 1.0
    """How many positives, young ones too, count as one, if those of a unit are wholly alike."""


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """Say what became of the labels that were given."""

    requests: int
    """Request ids with a label."""
    unknown: int
    """Of these, those of no pair."""
    unknown_ids: tuple[str, ...] = ()
    pair_ids: tuple[str, ...] = ()
    """Some request ids of pairs, to hold against those."""
    columns: tuple[str, ...] = ("label",)
    """Columns that hold labels."""


CHI_SQUARE: Final = 3.841458820694124
"""95 % quantile of one degree of freedom."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Offer the candidate threshold that keeps the primary's number of alarms.

    `low` and `high` bound it (95 %); recall and precision at it are known with labels only.
    """

    threshold: float
    low: float
    high: float
    alarms: Paired
    """At the offered threshold."""
    recall: Count | None
    precision: Count | None

    @property
    def is_alike(self) -> bool:
        """Say whether both numbers of alarms are alike there: scores may take too few values.

        By McNemar's test (1947) at 5 %, and always where they are a tenth apart at most.
        """
        primary, candidate = self.alarms.primary.count, self.alarms.candidate.count
        flips = self.alarms.primary_only + self.alarms.candidate_only
        apart = abs(candidate - primary)
        return apart <= 0.1 * primary or apart**2 <= CHI_SQUARE * flips

    def payload(self, output: str) -> dict[str, dict[str, float]]:
        """Return what the flag's variant carries as JSON to put the threshold into effect."""
        return {"threshold": {output: self.threshold}}
