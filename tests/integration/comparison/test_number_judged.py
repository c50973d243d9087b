"""Regressions judged as a whole: from pairs and true values to the verdict."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from flags.gate import Decision
from flags.gate.checks.number import NumberEvidence
from tests.support.answer_pairs import answer_pairs, judged, label_file, playbook_of

Floats = npt.NDArray[np.float64]


def california_like(size: int = 6_000, seed: int = 3) -> tuple[Floats, Floats, Floats]:
    """Return skewed prices, a primary that explains half of them, and a better candidate."""
    rng = np.random.default_rng(seed)
    location, income = rng.normal(0, 1, size), rng.normal(0, 1, size)
    price = np.exp(0.5 * location + 0.4 * income + rng.normal(0, 0.25, size)) * 2
    primary = np.exp(0.5 * location + 0.1) * 2
    candidate = np.exp(0.5 * location + 0.4 * income) * 2
    return price, primary, candidate


def pairs_of(primary: Floats, candidate: Floats, **options: Any) -> Any:
    values = {"primary_score.price": primary, "candidate_score.price": candidate}
    return answer_pairs(values, **options)


def checks_of(judgement: Any) -> dict[str, Any]:
    return {each.name: each for each in judgement.verdict.checks}


def test_a_permutation_of_the_primary_s_predictions_holds() -> None:
    """Its distribution is the primary's, and yet it says nothing of the requests."""
    _, primary, _ = california_like()
    permuted = np.random.default_rng(0).permutation(primary)
    _, judgement = judged(
        pairs_of(primary, permuted),
        playbook=playbook_of(
            labels="none",
            steps=[
                {"stage": "shadow", "rollout": 0, "hold": "7d", "min_pairs": 100},
            ],
        ),
    )
    assert judgement.verdict.decision is Decision.HOLD
    assert checks_of(judgement)["number_distance"].outcome == "fail"


def test_a_permutation_with_true_values_rolls_back(tmp_path: Path) -> None:
    price, primary, _ = california_like()
    permuted = np.random.default_rng(0).permutation(primary)
    labels = label_file(tmp_path / "labels.csv", price)
    _, judgement = judged(pairs_of(primary, permuted, rollout=10), labels)
    assert judgement.verdict.decision is Decision.ROLLBACK


def test_a_biased_candidate_rolls_back_without_any_label() -> None:
    _, primary, _ = california_like()
    _, judgement = judged(pairs_of(primary, primary + 1.5, rollout=10))
    assert judgement.verdict.decision is Decision.ROLLBACK
    assert checks_of(judgement)["number_bias"].outcome == "fail"


def test_a_better_candidate_advances(tmp_path: Path) -> None:
    price, primary, candidate = california_like()
    labels = label_file(tmp_path / "labels.csv", price)
    evidence, judgement = judged(pairs_of(primary, candidate), labels)
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons
    assert_as_scikit_learn(evidence.answers[0], price, primary, candidate)


@pytest.mark.parametrize("rollout", [10, 90])
def test_true_values_that_repeat_what_was_answered_compare_neither_side(
    tmp_path: Path, rollout: int
) -> None:
    """A price that is paid because it was asked for says that each side is right by itself."""
    random = np.random.default_rng(2)
    price = random.lognormal(4, 0.6, 6_000)
    primary, candidate = (price * random.lognormal(0, 0.15, 6_000) for _ in range(2))
    pairs = pairs_of(primary, candidate, rollout=rollout)
    asked = np.where(pairs["served"] == "candidate", candidate, primary)
    labels = label_file(tmp_path / "labels.csv", np.where(random.random(6_000) < 0.4, price, asked))
    steps = [
        {"stage": "canary", "rollout": rollout, "hold": "7d", "min_pairs": 100, "min_labels": 1}
    ]
    _, judgement = judged(pairs, labels, playbook_of(steps=steps))
    assert judgement.verdict.decision is Decision.HOLD
    reason = checks_of(judgement)["error_loss"].reason
    assert reason.startswith("labels favour the side that answered (where the primary did, mean ")
    assert reason.endswith(
        "so the mean absolute error is not known: do they repeat what was answered?"
    )


def test_pairs_without_a_label_count_for_no_error(tmp_path: Path) -> None:
    price, primary, candidate = california_like()
    known = np.arange(len(price)) % 2 == 0
    labels = label_file(tmp_path / "labels.csv", np.where(known, price.astype(str), ""))
    evidence, judgement = judged(pairs_of(primary, candidate), labels)
    assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons
    [found] = evidence.answers
    assert isinstance(found, NumberEvidence)
    assert sum(each.units for each in found.levels["error"]["request"]) == known.sum()


def test_a_worse_candidate_rolls_back(tmp_path: Path) -> None:
    price, better, worse = california_like()
    labels = label_file(tmp_path / "labels.csv", price)
    _, judgement = judged(pairs_of(worse, better, rollout=10), labels)
    assert judgement.verdict.decision is Decision.ROLLBACK


def test_boosting_that_forgets_half_of_what_diabetes_depends_on_is_found(tmp_path: Path) -> None:
    """442 patients, asked about again and again, each under a request id of its own."""
    data = load_diabetes()
    first, second = slice(0, 221), slice(221, 442)
    v1 = LinearRegression().fit(data.data[first], data.target[first])
    v2 = GradientBoostingRegressor(random_state=0).fit(data.data[first, :2], data.target[first])
    inputs, target = data.data[second], data.target[second]
    rows = np.random.default_rng(1).integers(0, len(target), 3_000)
    primary, candidate = v1.predict(inputs)[rows], v2.predict(inputs[:, :2])[rows]
    labels = label_file(tmp_path / "labels.csv", target[rows])
    evidence, judgement = judged(pairs_of(primary, candidate, rollout=10), labels)
    assert judgement.verdict.decision is Decision.ROLLBACK
    assert_as_scikit_learn(evidence.answers[0], target[rows], primary, candidate)


def assert_as_scikit_learn(found: Any, true: Floats, primary: Floats, candidate: Floats) -> None:
    assert isinstance(found, NumberEvidence)
    for errors, predicted in ((found.primary, primary), (found.candidate, candidate)):
        assert errors is not None
        expected = {
            "mean_absolute_error": metrics.mean_absolute_error(true, predicted),
            "root_mean_squared_error": metrics.root_mean_squared_error(true, predicted),
            "bias": np.mean(predicted - true),
            "r2": metrics.r2_score(true, predicted),
        }
        for name, value in expected.items():
            assert getattr(errors, name) == pytest.approx(value, rel=1e-9, abs=1e-9), name
    assert found.mean_absolute_difference == pytest.approx(
        metrics.mean_absolute_error(primary, candidate), rel=1e-9
    )
    assert found.correlation == pytest.approx(np.corrcoef(primary, candidate)[0, 1], rel=1e-9)


def test_a_quantile_is_judged_by_its_pinball_loss(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    known = rng.normal(10, 3, 4_000)
    arrival = known + rng.exponential(2, 4_000)
    primary, candidate = known + 2 * np.log(10) + 1.0, known + 2 * np.log(10)
    playbook = playbook_of(outputs={"price": {"quantile": 0.9}})
    labels = label_file(tmp_path / "labels.csv", arrival)
    evidence, judgement = judged(pairs_of(primary, candidate), labels, playbook)
    found = evidence.answers[0]
    assert isinstance(found, NumberEvidence)
    assert found.candidate is not None
    loss = metrics.mean_pinball_loss(arrival, candidate, alpha=0.9)
    assert found.candidate.pinball == pytest.approx(loss, rel=1e-9)
    assert checks_of(judgement)["error_loss"].outcome == "pass"


def test_a_difference_within_the_tolerance_is_none() -> None:
    _, primary, _ = california_like()
    shifted = pairs_of(primary, primary + 0.2)
    _, judgement = judged(shifted)
    assert checks_of(judgement)["number_bias"].outcome == "inconclusive"
    _, judgement = judged(shifted, playbook=playbook_of(outputs={"price": {"tolerance": 0.5}}))
    assert checks_of(judgement)["number_bias"].outcome == "pass"


@pytest.mark.parametrize(("tolerance", "far"), [(0.5, 0), (0.5, 60), (0.1, 0)])
def test_another_distribution_is_no_objection_within_the_tolerance(
    tolerance: float, far: int
) -> None:
    """All are 0.2 higher, and so more often beyond quantiles; a few may be much higher."""
    primary = np.random.default_rng(7).normal(100, 0.3, 8_000)
    candidate = primary + 0.2 + np.where(np.arange(8_000) < far, 5.0, 0.0)
    steps = [{"stage": "shadow", "rollout": 0, "hold": "7d", "min_pairs": 100}]
    plan = playbook_of(outputs={"price": {"tolerance": tolerance}}, labels="none", steps=steps)
    _, judgement = judged(pairs_of(primary, candidate), playbook=plan)
    beyond = [each for each in judgement.verdict.checks if each.name == "distribution_ratio"]
    is_excused = tolerance > 0.2 and not far
    assert any(each.outcome == "fail" for each in beyond) is not is_excused
    if is_excused:
        said = [each.reason for each in beyond if "than the tolerance" in each.reason]
        assert said
        assert judgement.verdict.decision is Decision.ADVANCE, judgement.verdict.reasons


def test_bursts_of_one_customer_count_once() -> None:
    """Forty customers send a hundred alike requests each: what half of them show proves little."""
    rng = np.random.default_rng(2)
    customers = rng.normal(0, 1, 40)
    primary = np.repeat(customers, 100)
    candidate = primary + np.repeat(np.where(np.arange(40) < 20, 1.6, 0.0), 100)
    units = np.repeat([f"{number:016x}" for number in range(40)], 100)
    _, by_request = judged(pairs_of(primary, candidate, rollout=10))
    _, by_unit = judged(pairs_of(primary, candidate, rollout=10, unit=units))
    assert checks_of(by_request)["number_bias"].outcome == "fail"
    assert checks_of(by_unit)["number_bias"].outcome == "inconclusive"


@pytest.mark.parametrize("constant", [True, False])
def test_numbers_without_any_spread_hold(*, constant: bool) -> None:
    primary = np.full(1_000, 5.0) if constant else np.where(np.arange(1_000) < 20, 6.0, 5.0)
    _, judgement = judged(pairs_of(primary, primary.copy()))
    outcome = checks_of(judgement)["number_bias"].outcome
    assert outcome == ("inconclusive" if constant else "pass")
