"""Confidence sequences are valid at all looks together, and follow their formulas."""

import math
import runpy
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from statsmodels.stats.proportion import proportion_confint

from flags.gate.evidence import DURATION_EDGES, Count, Durations, Interval, Paired, UnitShare
from flags.gate.sequences import (
    ConfidenceSequence,
    ConservativeRatio,
    DifferenceSequence,
    MeanSequence,
    NormalSequence,
    QuantileRatioSequence,
    RatioSequence,
    ShareSequence,
)
from flags.gate.sequences.betting import log_wealth, lower_bound
from tests.support.markdown import DOCS

POWER = runpy.run_path(str(DOCS / "gate_power.py"))
Array = npt.NDArray[Any]

RATIO = ((1, 1), (1, 0), (0, 1), (0, 0))
"""(C, P) of the cells both, candidate_only, primary_only and neither."""
DIFFERENCE = ((1, 1), (2, 1), (0, 1), (1, 1))

unhurried = settings(deadline=None)
shares = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(
    lambda parts: [part / sum(parts) for part in parts]
)
tables = st.builds(
    Paired,
    both=st.integers(0, 3_000),
    primary_only=st.integers(0, 500),
    candidate_only=st.integers(0, 500),
    neither=st.integers(0, 10**6),
)


# --- the martingale -------------------------------------------------------------------------------


@unhurried
@given(theta=shares, rows=st.sampled_from([RATIO, DIFFERENCE]), pairs=st.integers(1, 5))
def test_the_gambler_gains_nothing_on_average_where_the_claim_is_true(
    theta: list[float], rows: tuple[tuple[int, int], ...], pairs: int
) -> None:
    """The expected wealth, over all possible counts by their probability, is exactly 1."""
    ratio = sum(t * c for t, (c, _) in zip(theta, rows, strict=True)) / sum(
        t * p for t, (_, p) in zip(theta, rows, strict=True)
    )
    mean = 0.0
    for counts in product(range(pairs + 1), repeat=4):
        if sum(counts) != pairs:
            continue
        ways = math.factorial(pairs) / math.prod(math.factorial(n) for n in counts)
        probability = ways * math.prod(t**n for t, n in zip(theta, counts, strict=True))
        cells = [(n, c, p) for n, (c, p) in zip(counts, rows, strict=True)]
        mean += probability * math.exp(log_wealth(cells, ratio))
    assert mean == pytest.approx(1, abs=1e-9)


@unhurried
@given(table=tables, low=st.floats(0.01, 10), factor=st.floats(1.01, 5))
def test_a_lower_ratio_is_refused_rather_than_a_higher_one(
    table: Paired, low: float, factor: float
) -> None:
    cells = [(table.both, 1, 1), (table.candidate_only, 1, 0), (table.primary_only, 0, 1)]
    higher, lower = log_wealth(cells, low * factor), log_wealth(cells, low)
    assert higher <= lower + 1e-9 * max(1, abs(higher), abs(lower))


@unhurried
@given(table=tables, alpha=st.sampled_from([0.05, 0.01, 1e-6]))
def test_the_lower_bound_is_where_the_wealth_is_enough(table: Paired, alpha: float) -> None:
    cells = [(table.both, 1, 1), (table.candidate_only, 1, 0), (table.primary_only, 0, 1)]
    bound = lower_bound(cells, alpha)
    if not table.both + table.candidate_only:
        assert bound == 0
        return
    assert log_wealth(cells, bound) >= -math.log(alpha)
    assert log_wealth(cells, bound * (1 + 1e-4)) < -math.log(alpha)


@pytest.mark.parametrize("ratio", [0.9, 1.25, 7.0])
def test_the_wealth_of_many_is_that_of_each(ratio: float) -> None:
    """The simulations here and in the documents use arrays, the gate plain floats: both agree."""
    counts = np.array([[0, 0, 0], [5, 3, 2], [900, 70, 10], [10**7, 10**5, 10**4]])
    many = POWER["wealth"](counts, POWER["RATIO_ROWS"], ratio)
    each = [
        log_wealth(
            [(int(n), c, p) for n, (c, p) in zip(row, POWER["RATIO_ROWS"], strict=True)], ratio
        )
        for row in counts
    ]
    np.testing.assert_allclose(many, each, rtol=1e-9, atol=1e-12)


# --- intervals ------------------------------------------------------------------------------------

sequences = st.one_of(
    tables.map(RatioSequence),
    tables.map(DifferenceSequence),
    tables.map(lambda table: ShareSequence(table.candidate)),
)


@unhurried
@given(sequence=sequences, alpha=st.sampled_from([0.1, 0.02]))
def test_the_interval_holds_the_estimate_and_is_what_above_and_below_say(
    sequence: ConfidenceSequence, alpha: float
) -> None:
    low, high = sequence.interval(alpha)
    value = sequence.value
    if value is not None:
        assert low <= value <= high
    edge = 1e-4 * max(low + 1, 1)
    assert not sequence.above(low + edge, alpha / 2)
    if low > edge:
        assert sequence.above(low - edge, alpha / 2)
    if math.isfinite(high) and high < 1:
        assert not sequence.below(high - edge, alpha / 2)
        assert sequence.below(high + edge, alpha / 2)


@unhurried
@given(table=tables)
def test_the_ratio_with_the_sides_swapped_is_the_inverse(table: Paired) -> None:
    low, high = RatioSequence(table).interval(0.05)
    swapped = Paired(table.both, table.candidate_only, table.primary_only, table.neither)
    other_low, other_high = RatioSequence(swapped).interval(0.05)
    assert other_low == pytest.approx(1 / high if high else math.inf, rel=1e-4)
    assert other_high == pytest.approx(1 / low if low else math.inf, rel=1e-4)


def test_pairs_in_which_neither_fires_say_nothing_about_the_ratio() -> None:
    few, many = Paired(100, 10, 30, 0), Paired(100, 10, 30, 10**9)
    assert RatioSequence(few).interval(0.05) == RatioSequence(many).interval(0.05)


@pytest.mark.parametrize(
    ("sequence", "interval"),
    [
        (RatioSequence(Paired(0, 0, 0, 0)), (0, math.inf)),
        (DifferenceSequence(Paired(0, 0, 0, 0)), (-1, 1)),
        (ShareSequence(Count(0, 0)), (0, 1)),
        (NormalSequence(Interval(None, None, None), None, 0, 100), (-math.inf, math.inf)),
    ],
)
def test_without_data_everything_is_possible(
    sequence: ConfidenceSequence, interval: tuple[float, float]
) -> None:
    assert sequence.value is None
    assert sequence.interval(0.05) == interval
    assert not sequence.above(0.5, 0.05)
    assert not sequence.below(0.5, 0.05)


def test_a_side_that_never_fires_leaves_the_ratio_open_on_one_side() -> None:
    none = RatioSequence(Paired(0, 200, 0, 1_000))
    low, high = none.interval(0.05)
    assert (none.value, low) == (0, 0)
    assert 0 < high < 0.1
    only = RatioSequence(Paired(0, 0, 200, 1_000))
    low, high = only.interval(0.05)
    assert (only.value, high) == (math.inf, math.inf)
    assert low > 10


def test_billions_of_pairs_are_no_more_work_and_give_a_narrow_interval() -> None:
    low, high = RatioSequence(Paired(4 * 10**6, 10**6, 10**6, 10**9)).interval(0.05)
    assert 0.998 < low < 1 < high < 1.002
    low, high = ShareSequence(Count(500, 10**9)).interval(0.05)
    assert 3.5e-7 < low < 5e-7 < high < 7e-7


def test_as_much_data_again_is_the_same_as_counting_it() -> None:
    once, twice = Paired(50, 20, 40, 900), Paired(100, 40, 80, 1_800)
    assert RatioSequence(once).scaled(2).interval(0.05) == RatioSequence(twice).interval(0.05)
    low, high = DifferenceSequence(once).scaled(2).interval(0.05)
    assert (low, high) == DifferenceSequence(twice).interval(0.05)
    share = ShareSequence(once.candidate).scaled(2)
    assert share.interval(0.05) == ShareSequence(twice.candidate).interval(0.05)


@pytest.mark.parametrize(("yes", "total"), [(0, 500), (5, 1_000), (300, 1_000), (50, 10**6)])
def test_looking_always_costs_less_than_twice_the_width_of_looking_once(
    yes: int, total: int
) -> None:
    low, high = ShareSequence(Count(yes, total)).interval(0.05)
    once_low, once_high = proportion_confint(yes, total, 0.05, method="beta")
    assert low <= once_low
    assert high >= once_high
    assert high - low < 2 * (once_high - once_low)


# --- against the sequences that were not chosen ---------------------------------------------------


def dirichlet_interval(table: Paired, alpha: float) -> tuple[float, float]:
    """Return Lindon & Malek's Dirichlet mixture of the three cells, projected on the ratio."""
    counts = np.array([table.both, table.candidate_only, table.primary_only], dtype=float)
    prior = np.ones(3)

    def logbeta(a: Array) -> float:
        return float(special.gammaln(a).sum() - special.gammaln(a.sum()))

    def evidence(ratio: float) -> float:
        """Return the log of the mixture divided by the largest likelihood at this ratio."""
        a = np.array([1 - ratio, 1, -ratio])
        total = counts.sum()
        bounds = sorted(-1 / each for each in (a.max(), a.min()))
        root = optimize.brentq(
            lambda m: float((counts * a / (1 + m * a)).sum()),
            bounds[0] + 1e-9,
            bounds[1] - 1e-9,
        )
        theta = counts / (total * (1 + root * a))
        best = float((counts * np.log(theta)).sum())
        return logbeta(prior + counts) - logbeta(prior) - best

    value, needed = table.candidate.count / table.primary.count, -math.log(alpha)
    return (
        optimize.brentq(lambda r: evidence(r) - needed, value / 4, value),
        optimize.brentq(lambda r: evidence(r) - needed, value, value * 4),
    )


@pytest.mark.parametrize(
    "table", [Paired(1_000, 300, 300, 0), Paired(20, 5, 30, 0), Paired(5_000, 800, 1_500, 0)]
)
def test_the_bets_are_sharper_than_the_projected_dirichlet_mixture(table: Paired) -> None:
    low, high = RatioSequence(table).interval(0.05)
    other_low, other_high = dirichlet_interval(table, 0.05)
    assert math.log(high / low) < 0.95 * math.log(other_high / other_low)


@pytest.mark.parametrize(("yes", "total"), [(50, 100_000), (500, 10**6)])
def test_the_bets_are_sharper_than_the_beta_binomial_mixture_for_rare_events(
    yes: int, total: int
) -> None:
    def evidence(share: float) -> float:
        mixture = special.betaln(1 + yes, 1 + total - yes)
        return float(mixture - yes * math.log(share) - (total - yes) * math.log1p(-share))

    value, needed = yes / total, -math.log(0.05)
    other_low = optimize.brentq(lambda p: evidence(p) - needed, value / 5, value)
    other_high = optimize.brentq(lambda p: evidence(p) - needed, value, value * 5)
    low, high = ShareSequence(Count(yes, total)).interval(0.05)
    assert high - low < 0.9 * (other_high - other_low)


# --- at every look --------------------------------------------------------------------------------

LOOKS, RUNS, BATCH = 1_000, 400, 20


def ever(refused: Callable[[Array], Array], theta: list[float], step: int, seed: int) -> float:
    """Return the share of runs in which a true claim is refused at any of 1,000 looks."""
    random = np.random.default_rng(seed)
    count = 0
    for _ in range(RUNS // BATCH):  # what a batch needs fits into the processor's cache
        counts = random.multinomial(step, theta, size=(BATCH, LOOKS)).cumsum(axis=1)
        count += int(refused(counts).any(axis=1).sum())
    return count / RUNS


def refuses(rows: tuple[tuple[int, int], ...], ratio: float, alpha: float) -> Any:
    """Return the log wealth against a ratio from below or, with the sides swapped, from above."""

    def refused(counts: Array) -> Array:
        above = POWER["wealth"](counts, rows, ratio) >= -math.log(alpha / 2)
        swapped = counts[..., [0, 2, 1, 3]]
        mirrored = 1 / ratio if rows is RATIO else 2 - ratio
        below = POWER["wealth"](swapped, rows, mirrored) >= -math.log(alpha / 2)
        return np.asarray(above | below)

    return refused


@pytest.mark.parametrize("ratio", [1.0, 1.25])
def test_a_true_ratio_is_hardly_ever_refused_in_1000_looks(ratio: float) -> None:
    theta = list(POWER["cells"](ratio, 0.8))
    theta.append(1 - sum(theta))
    assert ever(refuses(RATIO, ratio, 0.05), theta, 200, seed=1) <= 0.05


@pytest.mark.parametrize("difference", [0.01])
def test_a_true_difference_is_hardly_ever_refused_in_1000_looks(difference: float) -> None:
    theta = [0.002, 0.001 + difference, 0.001]
    theta.append(1 - sum(theta))
    assert ever(refuses(DIFFERENCE, 1 + difference, 0.05), theta, 200, seed=2) <= 0.05


def test_one_look_at_an_interval_for_one_look_is_refused_far_more_often() -> None:
    """The same runs with fixed-sample intervals, which err too often: the test above can fail."""
    random = np.random.default_rng(1)
    theta = list(POWER["cells"](1.0, 0.8))
    counts = random.multinomial(200, [*theta, 1 - sum(theta)], size=(RUNS, LOOKS)).cumsum(axis=1)
    flips = counts[..., 1] + counts[..., 2]
    z = (counts[..., 1] - counts[..., 2]) / np.sqrt(np.maximum(flips, 1))
    assert (np.abs(z) > 1.96).any(axis=1).mean() > 0.3


def test_the_p_value_of_a_share_is_one_at_every_look() -> None:
    random = np.random.default_rng(3)
    active = random.binomial(500, 0.05, size=(40, 200)).cumsum(axis=1)
    totals = 500 * np.arange(1, 201)
    smallest = [
        min(
            ShareSequence(Count(int(yes), int(total))).p_value(0.05)
            for yes, total in zip(run[::10], totals[::10], strict=True)
        )
        for run in active
    ]
    assert np.mean(np.array(smallest) < 0.05) <= 0.05
    assert ShareSequence(Count(650, 10_000)).p_value(0.05) < 0.001
    assert ShareSequence(Count(500, 10_000)).p_value(0.05) == 1


# --- durations ------------------------------------------------------------------------------------


def binned(seconds: Array) -> Durations:
    bins = np.bincount(np.searchsorted(DURATION_EDGES, seconds, side="right"), minlength=332)
    return Durations(tuple(int(count) for count in bins))


@pytest.mark.parametrize("probability", [0.5, 0.95, 0.99])
def test_the_quantile_ratio_is_found_and_bounded(probability: float) -> None:
    random = np.random.default_rng(4)
    primary = random.lognormal(-4, 0.5, 20_000)
    candidate = 1.5 * random.lognormal(-4, 0.5, 20_000)
    sequence = QuantileRatioSequence(binned(primary), binned(candidate), probability)
    low, high = sequence.interval(0.05)
    exact = np.quantile(candidate, probability) / np.quantile(primary, probability)
    assert sequence.value == pytest.approx(exact, rel=0.06)
    assert 1.2 < low < 1.5 < high < 1.9
    assert sequence.above(1.1, 0.025)
    assert not sequence.above(1.5, 0.025)
    assert sequence.below(2, 0.025)


def test_the_bound_of_a_quantile_is_the_outermost_edge_that_is_refused() -> None:
    """The search assumes that the rejected edges are all on one side of some edge."""
    random = np.random.default_rng(5)
    durations = binned(random.lognormal(-4, 1, 300))
    sequence = QuantileRatioSequence(durations, durations, 0.95)
    low, high = sequence.side(durations, 0.05)
    below = np.cumsum(durations.counts)
    edges = [
        (edge, ShareSequence(Count(int(count), 300)))
        for edge, count in zip(DURATION_EDGES, below, strict=False)
    ]
    assert low == max(edge for edge, share in edges if share.below(0.95, 0.025))
    assert high == min(edge for edge, share in edges if share.above(0.95, 0.025))


def test_a_true_quantile_is_hardly_ever_outside_its_bounds() -> None:
    random = np.random.default_rng(6)
    missed = 0
    for _ in range(60):
        seconds = random.exponential(0.02, 4_000)
        wrong = False
        for calls in (50, 200, 1_000, 4_000):
            durations = binned(seconds[:calls])
            low, high = QuantileRatioSequence(durations, durations, 0.95).side(durations, 0.05)
            wrong |= not low <= 0.02 * math.log(20) <= high
        missed += wrong
    assert missed / 60 <= 0.05


def test_durations_beyond_all_edges_leave_the_quantile_open() -> None:
    durations = binned(np.full(1_000, 500.0))
    sequence = QuantileRatioSequence(durations, durations, 0.5)
    assert sequence.value is None
    assert sequence.side(durations, 0.05) == (DURATION_EDGES[-1], math.inf)


# --- normal ---------------------------------------------------------------------------------------


def test_a_true_mean_is_hardly_ever_outside_the_asymptotic_sequence() -> None:
    random = np.random.default_rng(7)
    looks = np.arange(1, 201) * 50
    sums = random.normal(0, 1, size=(400, looks[-1])).cumsum(axis=1)[:, looks - 1]
    width = np.array(
        [
            NormalSequence(Interval(0, 0, 0), 1 / math.sqrt(n), n, 1_000).interval(0.05)[1]
            for n in looks
        ]
    )
    assert (np.abs(sums / looks) > width).any(axis=1).mean() <= 0.05


def test_the_asymptotic_sequence_is_tightest_near_the_planned_number() -> None:
    def excess(n: int, planned: int) -> float:
        error = 1 / math.sqrt(n)
        return NormalSequence(Interval(0, 0, 0), error, n, planned).interval(0.05)[1] / error

    assert excess(1_000, 1_000) < min(excess(1_000, 50), excess(1_000, 50_000))
    assert 2 < excess(1_000, 1_000) < 3.1


def test_more_labels_make_it_narrower_as_counting_them_would() -> None:
    once = NormalSequence(Interval(0.1, 0, 0), 0.02, 500, 1_000)
    four = NormalSequence(Interval(0.1, 0, 0), 0.01, 2_000, 1_000)
    assert once.scaled(4).interval(0.05) == pytest.approx(four.interval(0.05))
    assert four.above(0, 0.025)
    assert four.below(0.2, 0.025)


# --- means of units -------------------------------------------------------------------------------


@unhurried
@given(tables, st.floats(0.001, 0.2))
def test_units_of_one_request_are_bounded_as_requests(table: Paired, limit: float) -> None:
    values = {-1.0: table.primary_only, 0.0: table.both + table.neither, 1.0: table.candidate_only}
    units = MeanSequence(tuple(UnitShare(*each) for each in values.items()), -1.0)
    requests = DifferenceSequence(table)
    assert units.value == pytest.approx(requests.value)
    assert units.interval(0.05) == pytest.approx(requests.interval(0.05), abs=1e-9)
    for alpha in (0.05, 1e-4):
        assert units.above(limit, alpha) is requests.above(limit, alpha)
        assert units.below(limit, alpha) is requests.below(limit, alpha)


def test_a_mean_of_units_is_missed_no_more_often_than_promised_though_they_send_bursts() -> None:
    """All requests of a unit fail or none: a mean of 3 % is looked at twenty times."""
    random = np.random.default_rng(5)
    missed = 0
    for _ in range(300):
        failed = np.cumsum(random.binomial(100, 0.03, 20))
        looks = (
            MeanSequence((UnitShare(0.0, 100 * look - n), UnitShare(1.0, n)))
            for look, n in enumerate(failed.tolist(), start=1)
        )
        missed += any(each.above(0.03, 0.05) or each.below(0.03, 0.05) for each in looks)
    assert missed <= 0.1 * 300


PAIRED = st.builds(Paired, *(st.integers(0, 400) for _ in range(4)))


class TestEveryRatio:
    """A ratio counted in several ways is beyond a limit if it is so in each way."""

    FEW = RatioSequence(Paired(10, 5, 25, 1_000))
    MANY = RatioSequence(Paired(100, 50, 250, 10_000))

    def test_it_shows_the_ratio_of_the_first(self) -> None:
        every = ConservativeRatio((self.FEW, RatioSequence(Paired(10, 5, 5, 1_000))))
        assert every.value == self.FEW.value == pytest.approx(35 / 15)

    def test_it_has_no_ratio_where_one_has_none(self) -> None:
        assert ConservativeRatio((self.FEW, RatioSequence(Paired(0, 0, 0, 10)))).value is None

    def test_one_that_is_not_sure_is_enough_to_be_unsure(self) -> None:
        assert self.MANY.above(1.7, 0.05)
        assert not self.FEW.above(1.7, 0.05)
        assert not ConservativeRatio((self.MANY, self.FEW)).above(1.7, 0.05)
        assert ConservativeRatio((self.MANY, self.MANY)).above(1.7, 0.05)

    def test_more_of_the_same_makes_it_sure(self) -> None:
        assert ConservativeRatio((self.MANY, self.FEW)).scaled(10).above(1.7, 0.05)

    @given(st.lists(PAIRED, min_size=1, max_size=3), st.floats(0.2, 5))
    def test_it_is_never_surer_than_any_and_sure_where_all_are(
        self, tables: list[Paired], limit: float
    ) -> None:
        found = tuple(map(RatioSequence, tables))
        every, bounds = ConservativeRatio(found), [each.interval(0.05) for each in found]
        low, high = every.interval(0.05)
        assert all(low <= each[0] and high >= each[1] for each in bounds)
        assert every.above(limit, 0.05) == all(each.above(limit, 0.05) for each in found)
        assert every.below(limit, 0.05) == all(each.below(limit, 0.05) for each in found)
