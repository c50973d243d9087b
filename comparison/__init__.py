"""The offline half: read pairs, summarise them, judge them."""

from comparison.compare import Comparison, compare
from comparison.errors import ComparisonError
from comparison.pairs.reader import Pairs, load_pairs, read_pairs
from comparison.summary.conclusion import Conclusion, conclude
from comparison.summary.figures import Summary, as_plain, summarise

__all__ = [
    "Comparison",
    "ComparisonError",
    "Conclusion",
    "Pairs",
    "Summary",
    "as_plain",
    "compare",
    "conclude",
    "load_pairs",
    "read_pairs",
    "summarise",
]
