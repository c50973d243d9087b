"""Confidence sequences: bounds that hold at every look at once. `wealth` says how they work."""

from flags.sequences.durations import QuantileRatioSequence
from flags.sequences.normal import NormalSequence
from flags.sequences.paired import DifferenceSequence, RatioSequence
from flags.sequences.sequence import ConfidenceSequence
from flags.sequences.share import ShareSequence

__all__ = [
    "ConfidenceSequence",
    "DifferenceSequence",
    "NormalSequence",
    "QuantileRatioSequence",
    "RatioSequence",
    "ShareSequence",
]
