import numpy as np
import pytest
from scipy import stats

from comparison.evidence.distribution import BINS, distribution
from comparison.evidence.joint_counts import JointCounts
from comparison.evidence.score_counts import ScoreCounts
from flags.gate.evidence import Distribution
from tests.support.count_tables import output


def described(primary: np.ndarray, candidate: np.ndarray, **given: object) -> Distribution:
    made = output(primary, candidate, **given)  # type: ignore[arg-type]
    found = distribution(JointCounts.of(made), ScoreCounts.of(made.scores), made.grid)
    assert found is not None
    return found


def fraud(pairs: int = 5_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(6)
    shared = random.normal(size=pairs)
    return (
        1 / (1 + np.exp(4.5 - shared)),
        1 / (1 + np.exp(3.0 - shared + 0.3 * random.normal(size=pairs))),
    )


def test_what_is_drawn_is_counted_between_its_edges() -> None:
    primary, candidate = fraud()
    found = described(primary, candidate)
    edges = np.array([*found.bins[:-1], np.inf])
    assert len(found.bins) == len(found.counts["primary"]) + 1 <= BINS + 1
    assert list(found.counts["primary"]) == np.histogram(primary, edges)[0].tolist()
    assert list(found.counts["candidate"]) == np.histogram(candidate, edges)[0].tolist()
    table = np.histogram2d(primary, candidate, [edges, edges])[0]
    assert {(row, column): n for row, column, n in found.joint} == {
        (int(row), int(column)): int(table[row, column]) for row, column in np.argwhere(table)
    }


def test_thresholds_are_edges_so_that_the_quadrants_lie_between_cells() -> None:
    primary, candidate = fraud()
    found = described(primary, candidate, thresholds=(0.0417, 0.1234))
    assert {0.0417, 0.1234} < set(found.bins)


def test_the_figures_are_those_of_the_scores() -> None:
    primary, candidate = fraud()
    found = described(primary, candidate)
    assert found.ks == pytest.approx(stats.ks_2samp(primary, candidate).statistic)
    expected = stats.wasserstein_distance(primary, candidate)
    assert found.wasserstein == pytest.approx(expected)
    for side, scores in (("primary", primary), ("candidate", candidate)):
        for probability, score in found.quantiles[side].items():
            wanted = np.quantile(scores, float(probability))
            assert score == pytest.approx(wanted)


@pytest.mark.parametrize(
    "score", [0.0, 0.5, 1.0, -3.0, 1e300, 1e-300], ids=lambda score: f"{score:g}"
)
def test_constant_scores_can_be_described(score: float) -> None:
    constant = np.full(20, score)
    found = described(constant, constant, thresholds=(None, None))
    assert (found.psi, found.ks, found.wasserstein) == (0, 0, 0)
    assert sum(found.counts["primary"]) == 20
    assert found.joint[0][2] == 20
    assert list(found.bins) == sorted(found.bins)


def test_one_pair_can_be_described_and_none_is_none() -> None:
    found = described(np.array([0.2]), np.array([0.9]))
    assert sum(found.counts["primary"]) == sum(found.counts["candidate"]) == 1
    made = output([], [])
    assert distribution(JointCounts.of(made), ScoreCounts.of(made.scores), made.grid) is None


def test_prices_can_be_described() -> None:
    random = np.random.default_rng(1)
    price = random.normal(180_000, 40_000, 3_000)
    found = described(price, price + 5_000, thresholds=(None, None))
    assert len(found.bins) > 20
    assert found.quantiles["primary"]["0.5"] == pytest.approx(np.median(price))
    assert found.wasserstein == pytest.approx(5_000)
