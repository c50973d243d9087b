"""The evidence from labels: which pairs have a label, and how often both sides are right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flags.gate.evidence.counts import Count, Interval, Paired, UnitShare


@dataclass(frozen=True, slots=True)
class Reliability:
    """One bin of a calibration curve: mean score, positives of total."""

    score: float
    positives: Count


@dataclass(frozen=True, slots=True)
class SideQuality:
    """Figures of one side on the labelled pairs; None if a figure cannot be computed."""

    average_precision: float | None
    brier: float | None
    precision: Count
    """Of the alarms, the positives."""
    recall: Count
    """Of the positives, the alarms."""
    precision_at_volume: Count
    """Precision at the threshold with the primary's number of alarms."""
    recall_at_volume: Count
    reliability: tuple[Reliability, ...]
    roc_auc: float | None = None
    """Probability that a positive has a higher score than a negative; a tie counts half."""


@dataclass(frozen=True, slots=True)
class UnitRecall:
    """Difference of recalls by unit: share of its positives alarmed, candidate minus primary.

    If no pair names a unit, each minute counts as one.
    """

    shares: tuple[UnitShare, ...]
    """By unit and block, each with the same weight."""
    once: tuple[UnitShare, ...]
    """Each unit once in the window."""
    mean_burst_size: float
    """Positives that count as one if all positives of a unit and block are equal (cluster size)."""
    design_effect: float
    """Design effect of the shares in the blocks of a unit; 1 if these are independent."""
    has_units: bool = True

    @property
    def independent(self) -> float:
        """Return the effective share of independent positives, from clusters and design effect."""
        return 1 / (self.mean_burst_size * max(1.0, self.design_effect))


@dataclass(frozen=True, slots=True)
class Quality:
    """The quality of both sides on the pairs whose label has come and counts.

    `caught` is the paired table of alarms on positives, `false_alarms` that on negatives: recall
    and false alarm rate are compared by them. `average_precision_difference` (candidate minus
    primary) has a paired bootstrap interval and its standard error. All figures are of labelled
    pairs only; `Labelling` shows how these were selected.
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
    """McNemar's mid-p test whether the flips are right more often by one side."""
    by_unit: UnitRecall | None = None


@dataclass(frozen=True, slots=True)
class LabelledCell:
    """The pairs of one cell (side that answered, alarm by each side), and their labels.

    Both alarms are None unless both are known; `served` is None if no side answered.
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
    """The pairs by cell and label of an output: pairs old enough for a label, and `young` ones.

    The labels of young pairs do not count yet: the ones that come early may be a selection.
    """

    old: tuple[LabelledCell, ...]
    young: tuple[LabelledCell, ...]
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
    """The candidate's threshold at which it raises as many alarms as the primary.

    `low` and `high` are its 95 % interval; recall and precision at it are None without labels.
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
