import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from comparison.evidence.divergence import GROUPS, binned_quantiles, groups, ks, psi, wasserstein
from comparison.evidence.statistics import quantiles

unhurried = settings(deadline=None)  # the reference library takes its time on first use

counts = st.integers(1, 40).flatmap(
    lambda size: st.tuples(
        *[st.lists(st.integers(0, 30), min_size=size, max_size=size) for _ in range(2)]
    )
)


def both(pair: tuple[list[int], list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second = (np.array(each, dtype=np.int64) for each in pair)
    assume(first.sum() > 0)
    assume(second.sum() > 0)
    centres = np.cumsum(1 + np.arange(len(first)) % 7) / 10
    return first, second, centres


@unhurried
@given(counts)
def test_ks_equals_scipy(pair: tuple[list[int], list[int]]) -> None:
    first, second, centres = both(pair)
    expected = stats.ks_2samp(np.repeat(centres, first), np.repeat(centres, second), method="asymp")
    assert ks(first, second) == pytest.approx(expected.statistic, abs=1e-12)


@unhurried
@given(counts)
def test_wasserstein_equals_scipy(pair: tuple[list[int], list[int]]) -> None:
    first, second, centres = both(pair)
    expected = stats.wasserstein_distance(np.repeat(centres, first), np.repeat(centres, second))
    assert wasserstein(first, second, centres) == pytest.approx(expected, abs=1e-9)


@unhurried
@given(counts)
def test_psi_equals_the_divergence_of_scipy_both_ways(pair: tuple[list[int], list[int]]) -> None:
    first, second, _ = both(pair)
    p, q = (np.bincount(groups(first), weights=each) + 0.5 for each in (first, second))
    assert psi(first, second) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-9)


@unhurried
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_equal_those_of_the_values(found: list[int], probability: float) -> None:
    size = np.array(found, dtype=np.int64)
    centres = np.arange(len(size)) / 3
    values = np.repeat(centres, size)
    assert binned_quantiles(size, centres, [probability, 0.5]) == pytest.approx(
        quantiles(values, [probability, 0.5]), abs=1e-9
    )


def test_psi_compares_deciles_of_the_first_sample() -> None:
    first = np.full(100, 7, dtype=np.int64)
    assert np.bincount(groups(first)).tolist() == [10] * GROUPS
    second = np.concatenate([np.full(10, 70), np.zeros(90)]).astype(np.int64)
    # All of it in the first decile: nine groups lose 10 %, one gains 90 %, but for half counts.
    expected = 0.9 * math.log(10) + 9 * 0.1 * math.log(0.1 / (0.5 / 705))
    assert psi(first, second) == pytest.approx(expected, rel=0.01)


def test_psi_of_two_samples_of_one_origin_is_as_large_as_is_published() -> None:
    """Yurdakul & Naranjo (2020): (1/n + 1/m) times chi-square with 9 degrees of freedom."""
    random = np.random.default_rng(5)
    size, bins = 20_000, np.full(50, 0.02)
    drawn = [psi(*random.multinomial(size, bins, size=2)) for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(9 * 2 / size, rel=0.1)


def test_a_constant_sample_is_told_from_values_below_and_above_it() -> None:
    constant, below, above = (np.array(each) for each in ([0, 9, 0], [9, 0, 0], [0, 0, 9]))
    same = psi(constant, constant)
    assert same == 0
    for other in (below, above):
        found = psi(constant, other)
        assert found is not None
        assert found > 1


def test_nothing_is_said_of_an_empty_sample() -> None:
    none, some, centres = np.zeros(3, dtype=np.int64), np.array([1, 0, 2]), np.arange(3.0)
    assert psi(none, some) is None
    assert ks(some, none) is None
    assert wasserstein(none, none, centres) is None
    assert binned_quantiles(none, centres, [0.5]) == {0.5: None}
