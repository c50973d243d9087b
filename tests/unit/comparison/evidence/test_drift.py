import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from comparison.errors import ReferenceUnreadableError
from comparison.evidence.drift import REFERENCE, FeatureReference, References, drift
from flags.gate.evidence import Drift
from tests.support.count_tables import count, rows_of


def features(values: np.ndarray, reference: FeatureReference, name: str = "amount") -> object:
    bins = np.searchsorted(reference.edges, values, side="right")
    bins[np.isnan(values)] = -1
    return count("features", {"feature": [name] * len(bins), "bin": bins})


def found(values: np.ndarray, reference: FeatureReference) -> Drift:
    references = References("fraud-v2:abc", {"amount": reference})
    [one] = drift(features(values, reference), references.edges, references)
    return one


def test_what_it_was_trained_on_does_not_drift() -> None:
    amounts = np.random.default_rng(1).gamma(2, 30, 10_000)
    reference = FeatureReference.of(amounts)
    same = found(amounts, reference)
    assert same == Drift("amount", 10_000, 0, 0.0, 0.0, "fraud-v2:abc")


def test_ks_is_that_of_the_values_as_far_as_the_edges_tell() -> None:
    random = np.random.default_rng(2)
    then, now = random.gamma(2, 30, 10_000), random.gamma(2, 45, 8_000)
    one = found(now, FeatureReference.of(then))
    assert one.psi is not None
    assert one.psi > 0.25
    assert one.ks == pytest.approx(stats.ks_2samp(then, now).statistic, abs=0.02)


def test_values_that_are_few_have_bins_of_their_own() -> None:
    random = np.random.default_rng(3)
    then, now = random.random(5_000) < 0.2, random.random(5_000) < 0.5
    reference = FeatureReference.of(then)
    assert reference.edges == (0, 1)
    assert reference.counts == (0, int((~then).sum()), int(then.sum()))
    assert found(now.astype(float), reference).ks == pytest.approx(now.mean() - then.mean())


def test_a_constant_feature_that_changes_drifts() -> None:
    reference = FeatureReference.of(np.full(1_000, 3.0))
    assert found(np.full(50, 3.0), reference).ks == 0
    for other in (2.0, 4.0):
        assert found(np.full(50, other), reference).ks == (1 if other < 3 else 0)
    assert (found(np.full(50, 2.0), reference).psi or 0) > 1


def test_missing_values_are_counted_apart() -> None:
    values = np.array([1.0, 2.0, np.nan, 4.0])
    reference = FeatureReference.of(values)
    assert (reference.missing, sum(reference.counts)) == (1, 3)
    one = found(values, reference)
    assert (one.pairs, one.missing, one.psi) == (4, 1, 0)


def test_a_feature_that_never_had_a_value_has_no_figures() -> None:
    reference = FeatureReference.of(np.full(5, np.nan))
    assert found(np.array([1.0]), reference) == Drift("amount", 1, 0, None, None, "fraud-v2:abc")
    empty = found(np.full(3, np.nan), FeatureReference.of(np.arange(9.0)))
    assert (empty.missing, empty.psi, empty.ks) == (3, None, None)


def test_counts_between_other_edges_are_not_compared() -> None:
    references = References("m:1", {"amount": FeatureReference.of(np.arange(100.0))})
    rows = rows_of("features", [("amount", 1, 7)])
    [one] = drift(rows, {"amount": (5.0,)}, references)
    assert (one.pairs, one.psi, one.ks) == (7, None, None)
    assert drift(rows_of("features", []), {}, references) == ()


def test_a_reference_is_read_from_what_bentoml_prints(tmp_path: Path) -> None:
    reference = FeatureReference.of(np.random.default_rng(4).random(500))
    model = {
        "name": "fraud-v2",
        "version": "abc",
        "metadata": {REFERENCE: {"amount": reference.as_plain()}},
    }
    path = tmp_path / "model.json"
    path.write_text(json.dumps(model))
    references = References.read(path)
    assert references == References("fraud-v2:abc", {"amount": reference})
    assert references.edges == {"amount": reference.edges}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        ("not json", "line 1 column 1"),
        ("[]", "list indices"),
        ('{"name": "m", "version": "1", "metadata": {}}', "feature_reference is missing"),
        (
            '{"name": "m", "version": "1", "metadata": {"feature_reference": {"a": '
            '{"edges": []}}}}',
            "counts is missing",
        ),
        (
            '{"name": "m", "version": "1", "metadata": {"feature_reference": {"a": '
            '{"edges": [1], "counts": [2]}}}}',
            "1 edges need 2 counts, not 1",
        ),
        (
            '{"name": "m", "version": "1", "metadata": {"feature_reference": {"a": '
            '{"edges": [2, 1], "counts": [1, 2, 3]}}}}',
            "edges must be finite and ascending",
        ),
        (
            '{"name": "m", "version": "1", "metadata": {"feature_reference": {"a": '
            '{"edges": [1], "counts": [2, -1]}}}}',
            "counts must not be negative",
        ),
    ],
)
def test_a_file_that_is_not_a_reference_is_a_clear_error(
    content: str | None, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReferenceUnreadableError, match=problem) as raised:
        References.read(path)
    assert "bentoml models get TAG --output json > model.json" in str(raised.value)
