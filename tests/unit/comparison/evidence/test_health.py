"""The quantiles of blocks of time equal numpy's, which are computed from single calls."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from comparison.engines.grouping import BLOCK_DURATIONS, empty
from comparison.evidence.health import BlockDurations
from flags.gate.evidence import DURATION_EDGES

CALLS = st.lists(st.integers(0, len(DURATION_EDGES)), max_size=30)


@given(
    st.dictionaries(st.integers(-3, 10**6), st.tuples(CALLS, CALLS), max_size=5),
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_quantiles_of_a_block_are_those_of_its_calls(
    blocks: dict[int, tuple[list[int], list[int]]], probability: float
) -> None:
    rows = [
        (block, side, bin_)
        for block, sides in blocks.items()
        for side, calls in zip(("primary", "candidate"), sides, strict=True)
        for bin_ in calls
    ]
    table = pd.DataFrame(rows, columns=["block", "side", "bin"])
    counts = table.groupby(["side", "bin", "block"], as_index=False).size()
    found = BlockDurations.of(counts.rename(columns={"size": "n"})).quantiles(probability)

    both = {block: sides for block, sides in sorted(blocks.items()) if all(sides)}
    assert found.index.tolist() == list(both)
    edges = [*DURATION_EDGES, DURATION_EDGES[-1] * 1.05]
    for place, side in enumerate(("primary", "candidate")):
        expected = [
            edges[int(np.quantile(sides[place], probability, method="inverted_cdf"))]
            for sides in both.values()
        ]
        assert found[side].tolist() == expected


def test_there_may_be_no_block() -> None:
    blocks = BlockDurations.of(empty(BLOCK_DURATIONS))
    assert blocks.ratios(0.5) == ()
