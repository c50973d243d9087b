import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from comparison.evidence.statistics import (
    Proportion,
    Ratio,
    mcnemar_mid_p,
    mean_interval,
    paired_ratio,
    quantiles,
    wilson_interval,
)

counts = st.integers(0, 2_000)
unhurried = settings(deadline=None)  # the reference libraries take their time on first use


class TestWilsonInterval:
    @unhurried
    @given(count=counts, others=counts, confidence=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
    def test_equals_statsmodels(self, count: int, others: int, confidence: float) -> None:
        if not count + others:
            return
        expected = proportion_confint(count, count + others, alpha=1 - confidence, method="wilson")
        assert wilson_interval(count, count + others, confidence) == pytest.approx(
            expected, rel=1e-9, abs=1e-12
        )

    def test_reaches_the_ends_exactly(self) -> None:
        assert wilson_interval(0, 10**9)[0] == 0
        assert wilson_interval(50, 50)[1] == 1

    def test_knows_nothing_without_observations(self) -> None:
        assert wilson_interval(0, 0) == (0, 1)
        assert Proportion.of(0, 0) == Proportion(0, 0, None, 0, 1)

    def test_is_exact_for_one_in_a_billion(self) -> None:
        """The textbook form loses nine digits here to cancellation."""
        low, _ = wilson_interval(1, 10**9)
        z = stats.norm.ppf(0.975)
        high_root = ((2 + z * z) + z * math.sqrt(z * z + 4)) / 2
        assert low * 10**9 == pytest.approx(1 / high_root, rel=1e-8)


class TestPairedRatio:
    def test_equals_the_published_example(self) -> None:
        """Cavo et al. (2012) in Fagerland, Lydersen & Laake (2017), chapter 8."""
        ratio = paired_ratio(both=59, candidate_only=6, primary_only=16)
        assert (ratio.value, ratio.low, ratio.high) == pytest.approx(
            (0.8667, 0.7579, 0.9910), abs=5e-5
        )

    @unhurried
    @given(both=counts, candidate_only=counts, primary_only=counts)
    def test_contains_the_estimate_and_is_ordered(
        self, both: int, candidate_only: int, primary_only: int
    ) -> None:
        ratio = paired_ratio(both, candidate_only, primary_only)
        if ratio.value is None:
            assert not both + candidate_only + primary_only
        else:
            assert 0 <= ratio.low <= ratio.value * (1 + 1e-9)
            assert ratio.value <= ratio.high * (1 + 1e-9)

    @unhurried
    @given(both=counts, candidate_only=counts, primary_only=counts)
    def test_exchanging_the_sides_inverts_the_interval(
        self, both: int, candidate_only: int, primary_only: int
    ) -> None:
        there = paired_ratio(both, candidate_only, primary_only)
        back = paired_ratio(both, primary_only, candidate_only)
        assert back.low == pytest.approx(1 / there.high if there.high else math.inf, rel=1e-9)

    @unhurried
    @given(
        both=st.integers(2_000, 20_000),
        candidate_only=st.integers(2_000, 20_000),
        primary_only=st.integers(2_000, 20_000),
    )
    def test_approaches_the_logarithmic_wald_interval_in_large_samples(
        self, both: int, candidate_only: int, primary_only: int
    ) -> None:
        """Desu & Raghavarao (2004): variance of the log ratio (b + c) / (n1+ n+1)."""
        candidate, primary = both + candidate_only, both + primary_only
        error = math.sqrt((candidate_only + primary_only) / (candidate * primary))
        ratio = paired_ratio(both, candidate_only, primary_only)
        for found, sign in ((ratio.low, -1), (ratio.high, 1)):
            expected = candidate / primary * math.exp(sign * stats.norm.ppf(0.975) * error)
            assert found == pytest.approx(expected, rel=0.005)

    def test_is_undefined_but_bounded_below_without_an_alarm_of_the_primary(self) -> None:
        ratio = paired_ratio(both=0, candidate_only=12, primary_only=0)
        assert ratio.value == math.inf
        assert 1 < ratio.low < ratio.high == math.inf

    def test_is_zero_and_bounded_above_without_an_alarm_of_the_candidate(self) -> None:
        ratio = paired_ratio(both=0, candidate_only=0, primary_only=12)
        assert ratio.value == ratio.low == 0
        assert 0 < ratio.high < 1

    def test_says_nothing_without_any_alarm(self) -> None:
        assert paired_ratio(0, 0, 0) == Ratio(None, 0, math.inf)

    def test_narrows_with_identical_sides_but_never_to_a_point(self) -> None:
        few, many = paired_ratio(5, 0, 0), paired_ratio(500, 0, 0)
        assert few.low < many.low < 1 < many.high < few.high

    @pytest.mark.parametrize("rate", [0.005, 0.01, 0.02])
    @pytest.mark.parametrize("true_ratio", [0.5, 1.0, 1.1, 3.7])
    @pytest.mark.parametrize("shared", [0.1, 0.9], ids=["mostly own", "mostly shared"])
    def test_covers_the_true_ratio_as_often_as_it_says(
        self, rate: float, true_ratio: float, shared: float
    ) -> None:
        """2,000 pairs, alarms as rare as in fraud detection, 2,000 simulated weeks."""
        both = shared * rate * min(1.0, true_ratio)
        cells = [both, rate * true_ratio - both, rate - both]
        tables = np.random.default_rng(20_251_123).multinomial(
            2_000, [*cells, 1 - sum(cells)], size=2_000
        )
        intervals = [paired_ratio(*table[:3]) for table in tables.tolist()]
        covered = np.mean([ratio.low <= true_ratio <= ratio.high for ratio in intervals])
        assert covered >= 0.93


class TestMcNemar:
    @unhurried
    @given(first=counts, second=counts)
    def test_mid_p_takes_off_the_point_probability(self, first: int, second: int) -> None:
        if first + second == 0:
            assert mcnemar_mid_p(first, second) == 1
            return
        point = stats.binom.pmf(first, first + second, 0.5)
        expected = (
            1 - point / 2
            if first == second
            else 2 * stats.binom.cdf(min(first, second), first + second, 0.5) - point
        )
        assert mcnemar_mid_p(first, second) == pytest.approx(expected, rel=1e-8, abs=1e-200)

    def test_equals_the_published_example(self) -> None:
        """Bentur et al. (2009) in Fagerland, Lydersen & Laake (2013): 0.0391."""
        assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)

    def test_stands_millions_of_flips(self) -> None:
        flips, fewer = 10_000_000, 4_998_000
        at_most, point = stats.binom.cdf(fewer, flips, 0.5), stats.binom.pmf(fewer, flips, 0.5)
        expected = 2 * at_most - point
        assert mcnemar_mid_p(fewer, flips - fewer) == pytest.approx(expected, rel=1e-6)


class TestMeanInterval:
    @unhurried
    @given(st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=60))
    def test_equals_the_reference(self, values: list[float]) -> None:
        sample = np.array(values)
        spread = stats.sem(sample)
        expected = stats.norm.interval(0.95, loc=sample.mean(), scale=spread) if spread else None
        found = mean_interval(sample)
        assert found == pytest.approx(expected or (sample.mean(), sample.mean()), abs=1e-6)

    def test_needs_thirty_values(self) -> None:
        assert mean_interval(np.arange(29.0)) is None

    def test_is_none_where_a_double_cannot_hold_it(self) -> None:
        assert mean_interval(np.array([1e308, -1e308] * 20)) is None


class TestQuantiles:
    @unhurried
    @given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
    def test_equal_the_reference(self, values: list[float]) -> None:
        probabilities = [0.0, 0.5, 0.9, 0.995, 1.0]
        expected = stats.mstats.mquantiles(values, probabilities, alphap=1, betap=1)
        found = quantiles(np.array(values), probabilities)
        assert list(found.values()) == pytest.approx(list(expected), rel=1e-9, abs=1e-6)

    @pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf]])
    def test_are_none_without_a_finite_value(self, values: list[float]) -> None:
        empty: npt.NDArray[np.float64] = np.array(values, dtype=np.float64)
        assert quantiles(empty, [0.5]) == {0.5: None}

    def test_leave_out_what_is_not_finite(self) -> None:
        values = np.array([1.0, math.nan, 3.0, math.inf])
        assert quantiles(values, [0.5, 1.0]) == {0.5: 2.0, 1.0: 3.0}
