"""The offline half: read pairs, summarise them, judge them.

Names are imported when they are first used: the help of a command loads no pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comparison.errors import ComparisonError
    from comparison.pairs.reader import Pairs, load_pairs, read_pairs
    from comparison.report.comparison import Comparison, compare
    from comparison.summary.conclusion import Conclusion, conclude
    from comparison.summary.figures import Summary
    from comparison.summary.in_memory import summarise
    from comparison.summary.plain import as_plain

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

_NAMES_BY_MODULE = {
    "comparison.report.comparison": ("Comparison", "compare"),
    "comparison.errors": ("ComparisonError",),
    "comparison.pairs.reader": ("Pairs", "load_pairs", "read_pairs"),
    "comparison.summary.conclusion": ("Conclusion", "conclude"),
    "comparison.summary.figures": ("Summary",),
    "comparison.summary.in_memory": ("summarise",),
    "comparison.summary.plain": ("as_plain",),
}


def __getattr__(name: str) -> Any:
    for module, names in _NAMES_BY_MODULE.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'comparison' has no attribute {name!r}")
