import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import comparison.evidence.bootstrap
from comparison.evidence.bootstrap import average_precision_difference
from comparison.evidence.joint_counts import JointCounts
from flags.gate.evidence import Interval
from tests.support.count_tables import output


def drawn(pairs: int, seed: int = 1, rate: float = 0.04) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    truth = random.random(pairs) < rate
    shared = random.normal(size=pairs)
    scores = (
        -3 + shared + 1.8 * truth + 0.5 * random.normal(size=pairs),
        -3 + shared + 2.4 * truth + 0.5 * random.normal(size=pairs),
    )
    return (*(1 / (1 + np.exp(-score)) for score in scores), truth)


def joint_of(primary: np.ndarray, candidate: np.ndarray, truth: np.ndarray) -> JointCounts:
    return JointCounts.of(output(primary, candidate, truth.tolist())).labelled


def difference_of(joint: JointCounts) -> tuple[Interval, float | None]:
    value = comparison.evidence.bootstrap._difference(joint) if joint.positive.total else None
    return average_precision_difference(joint, value)


def test_the_interval_is_that_of_drawing_rows_anew() -> None:
    """The reference draws rows, with scikit-learn's average precision of the unbinned scores."""
    primary, candidate, truth = drawn(3_000)
    interval, error = difference_of(joint_of(primary, candidate, truth))

    random = np.random.default_rng(2)
    reference = []
    for _ in range(300):
        rows = random.integers(0, len(truth), len(truth))
        first, second = (
            average_precision_score(truth[rows], side[rows]) for side in (primary, candidate)
        )
        reference.append(second - first)

    expected = average_precision_score(truth, candidate) - average_precision_score(truth, primary)
    assert interval.value == pytest.approx(expected, abs=0.003)
    assert error == pytest.approx(np.std(reference), rel=0.12)
    low, high = np.quantile(reference, [0.025, 0.975])
    # Both quantiles are drawn: their own error is about 0.15 and 0.08 standard deviations.
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.45 * float(error or 0))


def test_merged_bins_give_the_same_interval_but_for_rounding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joint = joint_of(*drawn(40_000))
    whole, error = difference_of(joint)
    monkeypatch.setattr(comparison.evidence.bootstrap, "CELLS", 0)
    merged, merged_error = difference_of(joint)
    assert merged.value == whole.value
    assert merged_error == pytest.approx(error, rel=0.08)
    assert merged.low == pytest.approx(whole.low, abs=0.3 * float(error or 0))
    assert merged.high == pytest.approx(whole.high, abs=0.3 * float(error or 0))


def test_bins_without_a_positive_are_merged_without_loss() -> None:
    joint = joint_of(*drawn(2_000))
    rising = comparison.evidence.bootstrap._rising(joint)
    assert len(rising.n) < len(joint.n)
    assert rising.total == joint.total
    found, expected = (comparison.evidence.bootstrap._difference(each) for each in (rising, joint))
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_same_pairs_give_the_same_interval() -> None:
    joint = joint_of(*drawn(500))
    assert difference_of(joint) == difference_of(joint)


def test_equal_sides_differ_by_no_more_than_one_positive_would() -> None:
    """All replicates are equal, but an interval of width 0 would be wrong: Agresti & Min (2005)."""
    primary, _, truth = drawn(500)
    interval, error = difference_of(joint_of(primary, primary, truth))
    assert interval.value == 0
    assert error == pytest.approx(1 / (truth.sum() + 2))
    assert interval.high == pytest.approx(1.96 * error)
    assert interval.low == pytest.approx(-1.96 * error)


def test_one_positive_is_enough_for_an_interval_and_none_is_not() -> None:
    primary, candidate, _ = drawn(50)
    truth = np.arange(50) == 7
    interval, error = difference_of(joint_of(primary, candidate, truth))
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low <= interval.high
    assert error is not None
    none, missing = difference_of(joint_of(primary, candidate, truth & False))
    assert (none.value, none.low, missing) == (None, None, None)
