"""A confidence sequence of the recall difference if the chance of a label differs by stratum."""

from dataclasses import dataclass

from flags.gate.evidence import Count, LabelledCell
from flags.gate.sequences.bounds import ByInterval
from flags.gate.sequences.share import ShareSequence

_STEPS = 60
"""Halvings of the range from -1 to 1."""


@dataclass(frozen=True, slots=True)
class WeightedRecallSequence(ByInterval):
    """The candidate's recall minus the primary's, from strata labelled at different rates.

    A stratum is a combination of both alarms and the side that answered. Within a stratum, labels
    are assumed to come at random. A labelled pair has the inverse of its stratum's coverage as its
    weight (Horvitz & Thompson, JASA 47 (1952), 663-685; as a ratio: Hajek 1971), so a stratum of N
    pairs has T = N * share positives. With a = 1 if the candidate alone fires, -1 if the primary
    alone fires, and 0 else,

        difference = sum a T / sum T

    Each share has an exact confidence sequence at its part of alpha (Bonferroni). The bounds are
    the smallest and the largest difference that these allow: there is no normal approximation, and
    the share of a stratum without labels may be anything from 0 to 1. Unlabelled positives that
    both sides miss would only make a loss smaller, so the lower bound counts labelled ones only.
    """

    strata: tuple[LabelledCell, ...]
    factor: float = 1.0

    @property
    def value(self) -> float | None:
        """Return the weighted difference, None without a positive label."""
        weighted = [
            (_gain(each), each.pairs * each.positives / each.labelled)
            for each in self.strata
            if each.labelled
        ]
        total = sum(positives for _, positives in weighted)
        return sum(gain * positives for gain, positives in weighted) / total if total else None

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the bounds, within -1 to 1."""
        strata = self._positives(alpha)
        mirrored = [_Positives(-each.gain, each.low, each.high) for each in strata]
        return _lowest(strata), -_lowest(mirrored)

    def scaled(self, factor: float) -> "WeightedRecallSequence":
        """Return the sequence at `factor` times the counts."""
        return WeightedRecallSequence(self.strata, self.factor * factor)

    def _positives(self, alpha: float) -> list["_Positives"]:
        part = alpha / max(1, len(self.strata))
        found = []
        for each in self.strata:
            share = ShareSequence(Count(each.positives, each.labelled), self.factor)
            low, high = share.interval(part)
            if not _gain(each) and not each.primary_alarm:
                low = min(low, each.positives / each.pairs)
            found.append(_Positives(_gain(each), each.pairs * low, each.pairs * high))
        return found


@dataclass(frozen=True, slots=True)
class _Positives:
    """Bounds of a stratum's number of positives; each adds `gain` to the difference's numerator."""

    gain: int
    low: float
    high: float


def _gain(stratum: LabelledCell) -> int:
    return int(bool(stratum.candidate_alarm)) - int(bool(stratum.primary_alarm))


def _lowest(strata: list[_Positives]) -> float:
    """Return the smallest possible difference: the root of a decreasing function."""
    low, high = -1.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        least = sum(
            (each.gain - middle) * (each.low if each.gain > middle else each.high)
            for each in strata
        )
        if least >= 0:
            low = middle
        else:
            high = middle
    return low
