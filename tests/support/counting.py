"""Prepare and count pairs in one call."""

from collections.abc import Mapping, Sequence
from typing import Any

from comparison.counts.aggregate import count
from comparison.counts.prepared import PreparedPairs
from comparison.counts.tables import Aggregates
from comparison.engines.sources import FramePairs, PairSource
from comparison.pairs.reader import Pairs


def aggregate(
    source: PairSource | Pairs,
    *,
    feature_edges: Mapping[str, Sequence[float]] | None = None,
    warm_up: int = 0,
    settings: Mapping[str, Mapping[str, float]] | None = None,
    **asked: Any,
) -> Aggregates:
    """Count what is `asked` of the pairs, in the words of `PreparedPairs.of`."""
    held = FramePairs.of(source) if isinstance(source, Pairs) else source
    prepared = PreparedPairs.of(held, **asked)
    return count(prepared, feature_edges=feature_edges, warm_up=warm_up, settings=settings)
