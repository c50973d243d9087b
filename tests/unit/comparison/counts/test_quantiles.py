"""Quantiles that an engine finds by counting, held against numpy's of all values."""

from unittest.mock import patch

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparison.counts import quantiles
from comparison.counts.quantiles import exact_quantiles

WANTED = (0.0, 0.5, 0.9, 0.995, 1.0)

REALS = st.lists(
    st.floats(-1e12, 1e12) | st.floats(0.999, 1.001) | st.sampled_from([0.0, -0.0, np.nan, np.inf]),
    max_size=60,
)


def table(values: list[float]) -> ibis.Table:
    return ibis.memtable(pa.table({"value": pa.array(values, pa.float64())}))


def by_numpy(values: list[float]) -> dict[float, float | None]:
    finite = np.array([each for each in values if np.isfinite(each)])
    return {each: float(np.quantile(finite, each)) if len(finite) else None for each in WANTED}


@settings(max_examples=30, deadline=None)
@given(REALS, REALS, st.sampled_from([0, 7, quantiles.MAX_UNROUNDED]))
def test_quantiles_of_columns_are_those_of_numpy(
    first: list[float], second: list[float], few: int
) -> None:
    """However few values are counted as they are, so with one to four passes."""
    columns = {"first": table(first), "second": table(second)}
    with patch.object(quantiles, "MAX_UNROUNDED", few):
        found = exact_quantiles(columns, dict.fromkeys(columns, WANTED))
    assert found["first"] == pytest.approx(by_numpy(first), rel=1e-15)
    assert found["second"] == pytest.approx(by_numpy(second), rel=1e-15)


def test_values_that_differ_in_their_last_bits_are_told_apart() -> None:
    close = [1.0 + place * 2.0**-52 for place in range(1_000)] + [1.0] * 500
    with patch.object(quantiles, "MAX_UNROUNDED", 10):
        [found] = exact_quantiles({"close": table(close)}, {"close": WANTED}).values()
    assert found == by_numpy(close)
