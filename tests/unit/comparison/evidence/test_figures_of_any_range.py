"""Figures equal those of pandas, scipy, scikit-learn and statsmodels in any range of scores."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_score,
    recall_score,
)
from statsmodels.stats.contingency_tables import mcnemar

import comparison.counts.outputs.grids
from comparison.evidence.build import evidence
from flags.gate.evidence import Output, Paired
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
    monkeypatch.setattr(comparison.counts.outputs.grids, "MOST_SCORES", N // 2)
    primary, candidate, truth = drawn()
    primary, candidate = RANGES[scale](primary), RANGES[scale](candidate)
    if outlier is not None:
        primary[5] = outlier
    made = found(primary, candidate, truth, float(np.quantile(primary, 0.73))).quality
    assert made is not None
    for side, scores in ((made.primary, primary), (made.candidate, candidate)):
        expected = average_precision_score(truth, scores)
        assert side.average_precision == pytest.approx(expected, abs=1e-4)


def table(primary: np.ndarray, candidate: np.ndarray) -> tuple[int, int, int, int]:
    """Return the cells of the 2x2 table of alarms, by pandas."""
    counted = pd.crosstab(pd.Series(primary), pd.Series(candidate))
    counted = counted.reindex(index=[True, False], columns=[True, False], fill_value=0)
    both, primary_only, candidate_only, neither = counted.to_numpy().ravel().tolist()
    return both, primary_only, candidate_only, neither


def cells(counted: Paired) -> tuple[int, int, int, int]:
    return counted.both, counted.primary_only, counted.candidate_only, counted.neither


def stability(primary: np.ndarray, candidate: np.ndarray) -> float:
    """Return the population stability index on the primary's deciles, by pandas."""
    edges = np.quantile(primary, np.arange(1, 10) / 10, method="inverted_cdf")
    groups = [np.searchsorted(edges, each, side="left") for each in (primary, candidate)]
    shares = [
        (pd.Series(each).value_counts().reindex(range(10), fill_value=0) + 0.5) / (len(each) + 5)
        for each in groups
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def at_volume(scores: np.ndarray, truth: np.ndarray, volume: int) -> tuple[float, float]:
    """Return precision and recall of the `volume` highest scores, none of which is a tie."""
    fired = scores >= np.sort(scores)[-volume]
    return precision_score(truth, fired), recall_score(truth, fired)


@pytest.mark.parametrize("outlier", [None, 1.0000001, -9999.0], ids=str)
@pytest.mark.parametrize("scale", ["probabilities", "per cent", "integers"])
def test_44_figures_equal_those_of_other_libraries(scale: str, outlier: float | None) -> None:
    primary, candidate, truth = drawn()
    primary, candidate = RANGES[scale](primary), RANGES[scale](candidate)
    if outlier is not None:
        primary[5] = outlier
    volume = 1_500
    at = float(np.sort(primary)[-volume])
    made = found(primary, candidate, truth, at)
    quality, described = made.quality, made.distribution
    assert quality is not None
    assert described is not None
    assert made.alarms is not None
    fired = {"primary": primary >= at, "candidate": candidate >= at}
    equal: list[tuple[float | None, float]] = [
        (described.psi, stability(primary, candidate)),
        (described.ks, stats.ks_2samp(primary, candidate).statistic),
        (described.wasserstein, stats.wasserstein_distance(primary, candidate)),
    ]
    for name, scores, side in (
        ("primary", primary, quality.primary),
        ("candidate", candidate, quality.candidate),
    ):
        equal += [
            (value, float(np.quantile(scores, float(probability))))
            for probability, value in described.quantiles[name].items()
        ]
        precision, recall = at_volume(scores, truth, volume)
        assert side.precision_at_volume is not None
        assert side.recall_at_volume is not None
        equal += [
            (side.average_precision, average_precision_score(truth, scores)),
            (side.precision.rate, precision_score(truth, fired[name])),
            (side.recall.rate, recall_score(truth, fired[name])),
            (side.precision_at_volume.rate, precision),
            (side.recall_at_volume.rate, recall),
        ]
        if scale == "probabilities" and scores.min() > -1:
            expected = brier_score_loss(truth, np.clip(scores, 0, 1))
            equal.append((side.brier, expected))
        else:
            assert side.brier is None
    for counted, of in (
        (made.alarms, truth | True),
        (quality.caught, truth),
        (quality.false_alarms, ~truth),
    ):
        equal += zip(
            cells(counted),
            table(fired["primary"][of], fired["candidate"][of]),
            strict=True,
        )
    right = table(fired["primary"] == truth, fired["candidate"] == truth)
    exact = mcnemar([[right[0], right[1]], [right[2], right[3]]], exact=True).pvalue
    likely = stats.binom.pmf(right[1], right[1] + right[2], 0.5)
    equal.append((quality.mcnemar_mid_p, exact - likely))
    if scale == "probabilities" and outlier is None:
        assert len(equal) == 44
    for ours, theirs in equal:
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-12)
