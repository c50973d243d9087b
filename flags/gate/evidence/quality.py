"""The evidence from labels: which pairs have a label, and how often both sides are right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flags.gate.evidence.counts import Count, Interval, Paired, UnitShare


@dataclass(frozen=True, slots=True)
class Reliability:
    """One bin of a calibration curve."""

    score: float
    """Mean score of the bin."""
    positives: Count
    """Positives of the pairs in the bin."""


@dataclass(frozen=True, slots=True)
class SideQuality:
    """Figures of one side on the labelled pairs; None if a figure cannot be computed."""

    average_precision: float | None
    """Average precision (area under the precision-recall curve), from 0 to 1."""
    brier: float | None
    """Brier score: mean squared difference of score and label; None if scores are no
    probabilities."""
    precision: Count
    """Of the alarms, the positives."""
    recall: Count
    """Of the positives, the alarms."""
    precision_at_volume: Count
    """Precision at the threshold with the primary's number of alarms."""
    recall_at_volume: Count
    """Recall at the same threshold."""
    reliability: tuple[Reliability, ...]
    """Calibration curve."""
    roc_auc: float | None = None
    """Probability that a positive has a higher score than a negative; a tie counts half."""


@dataclass(frozen=True, slots=True)
class UnitRecall:
    """Difference of recalls by unit: share of its positives alarmed, candidate minus primary."""

    shares: tuple[UnitShare, ...]
    """By unit and block, each with the same weight."""
    once: tuple[UnitShare, ...]
    """Each unit once in the window."""
    mean_burst_size: float
    """Positives that count as one if all positives of a unit and block are equal (cluster size)."""
    design_effect: float
    """Design effect of the shares in the blocks of a unit; 1 if these are independent."""
    has_units: bool = True
    """Whether pairs name units; else each minute counts as one."""

    @property
    def independent(self) -> float:
        """Return the effective share of independent positives, from clusters and design effect."""
        return 1 / (self.mean_burst_size * max(1.0, self.design_effect))


@dataclass(frozen=True, slots=True)
class Quality:
    """The quality of both sides on labelled pairs; `Labelling` shows how these were selected."""

    labelled: int
    """Pairs whose label has come and counts."""
    positives: int
    """Of these, the pairs with a positive label."""
    primary: SideQuality
    candidate: SideQuality
    caught: Paired
    """Positives by the sides that raise an alarm: their recalls are compared by it."""
    false_alarms: Paired
    """Negatives by the sides that raise an alarm."""
    average_precision_difference: Interval
    """Average precision, candidate minus primary, with a paired bootstrap interval."""
    standard_error: float | None
    """Standard error of that difference."""
    mcnemar_mid_p: float
    """P-value of McNemar's mid-p test that both sides are right in equally many of the flips."""
    by_unit: UnitRecall | None = None
    """The difference of recalls by unit."""


@dataclass(frozen=True, slots=True)
class LabelledCell:
    """The pairs of one cell (side that answered, alarm by each side), and their labels."""

    served: str | None
    """The side that answered; None: no side did."""
    primary_alarm: bool | None
    """Whether the primary raises an alarm; None: not both sides' decisions are known."""
    candidate_alarm: bool | None
    """Whether the candidate does; None in the same cases."""
    pairs: int
    """All pairs of the cell, with a label or without."""
    positives: int
    """Pairs with a positive label."""
    negatives: int
    """Pairs with a negative label."""

    @property
    def labelled(self) -> int:
        """Count the pairs with a label."""
        return self.positives + self.negatives


@dataclass(frozen=True, slots=True)
class Labelling:
    """Which pairs have a label: by the side that answered, the alarms of both sides, and age."""

    old: tuple[LabelledCell, ...]
    """Pairs old enough for a label."""
    young: tuple[LabelledCell, ...]
    """Pairs that are not: their labels do not count yet, since early ones may be a selection."""
    coverage: Mapping[str, Count]
    """By served side, the labelled pairs of all pairs old enough for a label."""
    coverage_p: float | None
    """P-value of Fisher's exact test that the coverage does not depend on the served side."""
    mean_burst_size: float = 1.0
    """Positives (young ones too) that count as one if all of a unit are equal (cluster size)."""


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """How many of the given labels belong to pairs."""

    requests: int
    """Request ids with a label."""
    unknown: int
    """Of these, the ids that no pair has."""
    unknown_ids: tuple[str, ...] = ()
    """Some of the unknown ids."""
    pair_ids: tuple[str, ...] = ()
    """Some request ids of pairs, to compare with the unknown ids."""
    columns: tuple[str, ...] = ("label",)
    """Names of the columns with labels."""


CHI_SQUARE: Final = 3.841458820694124
"""95 % quantile of the chi-square distribution with one degree of freedom."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The candidate's threshold at which it raises as many alarms as the primary."""

    threshold: float
    """The candidate's threshold."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of its 95 % interval."""
    alarms: Paired
    """At the offered threshold."""
    recall: Count | None
    """The candidate's recall at the threshold; None without labels."""
    precision: Count | None
    """The candidate's precision at the threshold; None without labels."""

    @property
    def is_alike(self) -> bool:
        """Say whether both numbers of alarms are nearly equal there: scores may be too coarse.

        They are if McNemar's test (1947) at 5 % finds no difference, or if they differ by a tenth
        at most.
        """
        primary, candidate = self.alarms.primary.count, self.alarms.candidate.count
        flips = self.alarms.primary_only + self.alarms.candidate_only
        apart = abs(candidate - primary)
        return apart <= 0.1 * primary or apart**2 <= CHI_SQUARE * flips

    def payload(self, output: str) -> dict[str, dict[str, float]]:
        """Return the JSON payload of the flag's variant that puts the threshold into effect."""
        return {"threshold": {output: self.threshold}}
