"""Confidence sequences: intervals that are valid at all looks together. See `betting`."""

from flags.gate.sequences.mean import MeanSequence
from flags.gate.sequences.normal import NormalSequence
from flags.gate.sequences.outcomes import FlipRatioSequence, UnitRatioSequence
from flags.gate.sequences.preferences import WinRateSequence
from flags.gate.sequences.protocol import ConfidenceSequence
from flags.gate.sequences.quantile_ratio import QuantileRatioSequence
from flags.gate.sequences.rates import (
    ConservativeRatio,
    DifferenceSequence,
    RatioSequence,
    WorstCaseRatio,
)
from flags.gate.sequences.share import ShareSequence

__all__ = [
    "ConfidenceSequence",
    "ConservativeRatio",
    "DifferenceSequence",
    "FlipRatioSequence",
    "MeanSequence",
    "NormalSequence",
    "QuantileRatioSequence",
    "RatioSequence",
    "ShareSequence",
    "UnitRatioSequence",
    "WinRateSequence",
    "WorstCaseRatio",
]
