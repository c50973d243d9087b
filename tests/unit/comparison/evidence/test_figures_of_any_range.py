"""Figures equal those of scikit-learn and scipy whatever the range of the scores."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, brier_score_loss

import comparison.counts.outputs
from comparison.evidence.build import evidence
from flags.gate.evidence import Output
from tests.support.count_tables import SINCE, UNTIL, aggregates, output

N = 6_000


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the single-precision scores of two models that are often sure, and the truth."""
    random = np.random.default_rng(7)
    truth = random.random(N) < 0.3
    risk = random.normal(0, 2, N) + 7 * truth
    primary = 1 / (1 + np.exp(-risk - random.normal(0, 1.5, N)))
    candidate = 1 / (1 + np.exp(-risk - 2 - random.normal(0, 0.7, N)))
    return (
        primary.astype(np.float32).astype(float),
        candidate.astype(np.float32).astype(float),
        truth,
    )


def found(primary: np.ndarray, candidate: np.ndarray, truth: np.ndarray, at: float) -> Output:
    counted = aggregates(output(primary, candidate, truth.tolist(), thresholds=(at, at)))
    taken = evidence(counted, source="pairs", since=SINCE, until=UNTIL, rollout=10.0)
    return taken.outputs[0]


RANGES = {
    "probabilities": lambda scores: scores,
    "per cent": lambda scores: scores * 100,
    "integers": lambda scores: np.round(scores * 1e6),
    "shifted": lambda scores: scores + 1e6,
    "tiny": lambda scores: scores * 1e-300,
    "huge": lambda scores: scores * 1e300,
    "negative": lambda scores: scores - 1,
}
OUTLIERS = [None, 1.0000001, -1.0, -9999.0, 1e300, 5e-324]


@pytest.mark.parametrize("outlier", OUTLIERS, ids=str)
@pytest.mark.parametrize("scale", RANGES)
def test_figures_do_not_depend_on_the_range_of_scores(scale: str, outlier: float | None) -> None:
    primary, candidate, truth = drawn()
    primary, candidate = RANGES[scale](primary), RANGES[scale](candidate)
    at = float(np.quantile(primary, 0.73))
    if outlier is not None:
        primary[5] = outlier
    made = found(primary, candidate, truth, at)
    quality, calibration, described = made.quality, made.calibration, made.distribution
    assert quality is not None
    assert calibration is not None
    assert described is not None
    for side, scores in ((quality.primary, primary), (quality.candidate, candidate)):
        expected = average_precision_score(truth, scores)
        assert side.average_precision == pytest.approx(expected, abs=1e-4)
    volume = int((primary >= at).sum())
    fired = int((candidate >= calibration.threshold).sum())
    nearest = min(
        (int((candidate >= each).sum()) for each in np.unique(candidate)),
        key=lambda alarms: abs(alarms - volume),
    )
    assert abs(fired - volume) <= abs(nearest - volume) + 0.005 * volume
    assert calibration.alarms.candidate.count == fired
    assert described.ks == pytest.approx(stats.ks_2samp(primary, candidate).statistic)
    for name, scores in (("primary", primary), ("candidate", candidate)):
        for probability, value in described.quantiles[name].items():
            expected = np.quantile(scores, float(probability))
            assert value == pytest.approx(expected)


def test_one_score_just_above_1_is_a_probability_still() -> None:
    primary, candidate, truth = drawn()
    primary[5] = 1.0000001
    made = found(primary, candidate, truth, 0.99).quality
    assert made is not None
    expected = brier_score_loss(truth, np.clip(primary, 0, 1))
    assert made.primary.brier == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("outlier", OUTLIERS, ids=str)
@pytest.mark.parametrize("scale", RANGES)
def test_the_scores_of_many_pairs_are_rounded_and_keep_their_order_nearly(
    monkeypatch: pytest.MonkeyPatch, scale: str, outlier: float | None
) -> None:
    monkeypatch.setattr(comparison.counts.outputs, "MOST_SCORES", N // 2)
    primary, candidate, truth = drawn()
    primary, candidate = RANGES[scale](primary), RANGES[scale](candidate)
    if outlier is not None:
        primary[5] = outlier
    made = found(primary, candidate, truth, float(np.quantile(primary, 0.73))).quality
    assert made is not None
    for side, scores in ((made.primary, primary), (made.candidate, candidate)):
        expected = average_precision_score(truth, scores)
        assert side.average_precision == pytest.approx(expected, abs=1e-4)
