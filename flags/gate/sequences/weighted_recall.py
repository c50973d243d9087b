"""A confidence sequence of the difference of recalls where labels were selected by cell."""

from dataclasses import dataclass

from flags.gate.evidence import Count, LabelledCell
from flags.gate.sequences.bounds import ByInterval
from flags.gate.sequences.share import ShareSequence

_STEPS = 60
"""Halvings of the interval from -1 to 1."""


@dataclass(frozen=True, slots=True)
class WeightedRecallSequence(ByInterval):
    """Bound the candidate's recall less the primary's, from strata labelled at different rates.

    Within a stratum (the cell of both alarms, and who served), labels are taken to come at random.
    Each labelled pair stands for the inverse of its stratum's coverage (Horvitz & Thompson, JASA 47
    (1952), 663-685; as a ratio: Hajek 1971), so a stratum of N pairs has T = N * share positives,
    and with a = 1 where the candidate alone fires, -1 where the primary alone does, 0 elsewhere,

        difference = sum a T / sum T

    Each share has a confidence sequence, exact at every look, at its part of alpha (Bonferroni),
    and the bounds are the least and the largest difference that these allow: no normal
    approximation, and a stratum without labels is anything from 0 to 1. Missed positives that no
    label shows would only make a loss smaller, so the lower bound counts those that were seen.
    """

    strata: tuple[LabelledCell, ...]
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the weighted difference, None without a positive."""
        weighted = [
            (_gain(each), each.pairs * each.positives / each.labelled)
            for each in self.strata
            if each.labelled
        ]
        total = sum(positives for _, positives in weighted)
        return sum(gain * positives for gain, positives in weighted) / total if total else None

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds, within -1 to 1."""
        boxes = self._boxes(alpha)
        return _lowest(boxes), -_lowest([_Box(-each.gain, each.low, each.high) for each in boxes])

    def scaled(self, factor: float) -> "WeightedRecallSequence":
        """Return the sequence at `factor` times the counts."""
        return WeightedRecallSequence(self.strata, self.factor * factor)

    def _boxes(self, alpha: float) -> list["_Box"]:
        part = alpha / max(1, len(self.strata))
        boxes = []
        for each in self.strata:
            share = ShareSequence(Count(each.positives, each.labelled), self.factor)
            low, high = share.interval(part)
            if not _gain(each) and not each.primary_alarm:
                low = min(low, each.positives / each.pairs)
            boxes.append(_Box(_gain(each), each.pairs * low, each.pairs * high))
        return boxes


@dataclass(frozen=True, slots=True)
class _Box:
    """Hold what a positive of a stratum adds to the difference, and how many there may be."""

    gain: int
    low: float
    high: float


def _gain(stratum: LabelledCell) -> int:
    return int(bool(stratum.candidate_alarm)) - int(bool(stratum.primary_alarm))


def _lowest(boxes: list[_Box]) -> float:
    """Return the least difference: the root of a function that falls with it."""
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        least = sum(
            (each.gain - middle) * (each.low if each.gain > middle else each.high) for each in boxes
        )
        if least >= 0:
            low = middle
        else:
            high = middle
    return low
