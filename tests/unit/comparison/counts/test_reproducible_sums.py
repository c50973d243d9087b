"""Sums do not depend on the order of rows, and are as exact as a sum can be."""

import math
from collections.abc import Sequence
from fractions import Fraction
from random import Random
from sys import float_info
from typing import Final

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis import _

from comparison.counts.reproducible_sums import share_mean, share_sum, summed, summed_by
from comparison.engines.embedded import connect, register_unnamed

CONNECTION: Final = connect()
NUMBERS: Final = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1, 1),
    st.sampled_from([0.1, 0.2, 0.3, -0.0, 1e16, -1e16, 5e-324, float_info.max]),
)


def rows_of(values: Sequence[float | None], groups: Sequence[str] | None = None) -> ir.Table:
    columns = {"value": pa.array(values, pa.float64())}
    if groups is not None:
        columns["side"] = pa.array(groups, pa.string())
    return register_unnamed(CONNECTION, pa.table(columns))


def sum_of(values: Sequence[float | None]) -> float:
    return summed(rows_of(values), {"value": _.value})["value"]


@settings(max_examples=50, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=30), st.randoms())
def test_the_order_of_rows_does_not_show(values: list[float], random: Random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert sum_of(shuffled) == sum_of(values)


@settings(max_examples=50, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_a_sum_errs_by_62_bits_of_the_largest_number(values: list[float]) -> None:
    exact = sum(map(Fraction, values))
    found, largest = sum_of(values), max(map(abs, values))
    if math.isinf(found):
        assert abs(exact) >= float_info.max * (1 - 2.0**-52)
        return
    cut = max(largest, 2.0**-900) * 2.0**-61 * len(values)
    rounding = abs(float(exact)) * 2.0**-52 if abs(exact) <= float_info.max else math.inf
    assert abs(Fraction(found) - exact) <= Fraction(cut) + Fraction(min(rounding, float_info.max))


def test_numbers_of_like_size_add_up_as_if_without_rounding() -> None:
    values = np.random.default_rng(3).uniform(0.01, 1, 5_000).tolist()
    assert sum_of(values) == math.fsum(values)


def test_what_is_missing_counts_as_nothing_and_what_is_infinite_as_the_largest_number() -> None:
    assert sum_of([None, 2.5, None]) == 2.5
    assert sum_of([None]) == sum_of([]) == 0.0
    assert summed(rows_of([1.0]), {}) == {}
    assert sum_of([math.inf, 1.0]) == math.inf
    assert sum_of([-math.inf, 1.0, -math.inf]) == -math.inf
    assert sum_of([math.inf, -math.inf, None]) == 0.0


def test_groups_have_their_sums_and_counts() -> None:
    rows = rows_of([0.1, 0.2, 0.3, None], ["b", "a", "b", "c"])
    found = summed_by(rows, {"value": _.value}, {"side": "string"}, n=_.count())
    assert found["side"].tolist() == ["a", "b", "c"]
    assert found["n"].tolist() == [1, 2, 1]
    assert found["value"].tolist() == [0.2, 0.4, 0.0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=1, max_size=30), st.randoms())
def test_sums_and_means_of_bounded_values_do_not_depend_on_the_order(
    values: list[float], random: Random
) -> None:
    def found(each: list[float]) -> tuple[float, float]:
        held = rows_of(each).agg(total=share_sum(_.value, 8.0), mean=share_mean(_.value, 8.0))
        [row] = held.to_pyarrow().to_pylist()
        return row["total"], row["mean"]

    shuffled = list(values)
    random.shuffle(shuffled)
    total, mean = found(values)
    assert found(shuffled) == (total, mean)
    assert total == pytest.approx(math.fsum(values), abs=8 * 2.0**-31 * len(values))
    assert mean == pytest.approx(math.fsum(values) / len(values), abs=8 * 2.0**-31)


def test_the_mean_of_what_is_missing_is_missing() -> None:
    rows = rows_of([None, None, 1.0], ["a", "a", "b"])
    means = rows.group_by("side").agg(mean=share_mean(_.value, 1.0)).order_by("side")
    assert means.to_pyarrow()["mean"].to_pylist() == [None, 1.0]
