import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss
from statsmodels.stats.contingency_tables import mcnemar

from comparison.evidence.alarms import sum_alarms
from comparison.evidence.bootstrap import average_precision
from comparison.evidence.joint_counts import JointCounts
from comparison.evidence.quality import RELIABILITY_EDGES, brier, quality, reliability
from comparison.evidence.score_counts import ScoreCounts
from flags.gate.evidence import Count, Paired, Quality
from tests.support.count_tables import output

unhurried = settings(deadline=None)  # the reference library takes its time on first use

tables = st.integers(1, 30).flatmap(
    lambda size: st.tuples(
        *[st.lists(st.integers(0, 9), min_size=size, max_size=size) for _ in range(2)]
    )
)
pairs = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from([True, False, None])),
    min_size=1,
    max_size=60,
)


def values(
    table: tuple[list[int], list[int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    positives, negatives = (np.array(each, dtype=np.int64) for each in table)
    centres = (np.arange(len(positives)) + 0.5) / len(positives)
    truth = np.repeat([1, 0], [positives.sum(), negatives.sum()])
    scores = np.concatenate([np.repeat(centres, positives), np.repeat(centres, negatives)])
    return positives, negatives, centres, truth, scores


def made(
    primary: np.ndarray, candidate: np.ndarray, labels: list[bool | None]
) -> tuple[Quality | None, np.ndarray, np.ndarray]:
    """Return the quality, and both sides' scores."""
    counted = output(primary, candidate, labels)
    joint = JointCounts.of(counted)
    label = counted.alarms["label"]
    found = quality(
        joint,
        ScoreCounts.of(counted.scores),
        caught=sum_alarms(counted.alarms.loc[label.fillna(False)]),
        false_alarms=sum_alarms(counted.alarms.loc[(~label).fillna(False)]),
    )
    return found, primary, candidate


@unhurried
@given(tables)
def test_average_precision_equals_scikit_learn(table: tuple[list[int], list[int]]) -> None:
    positives, negatives, _, truth, scores = values(table)
    found = average_precision(positives.astype(float), negatives.astype(float))
    if positives.sum():
        assert found == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    else:
        assert np.isnan(found)


@unhurried
@given(tables)
def test_brier_equals_scikit_learn(table: tuple[list[int], list[int]]) -> None:
    positives, negatives, centres, truth, scores = values(table)
    if len(truth):
        expected = brier_score_loss(truth, scores, pos_label=1)
        assert brier(positives, negatives, centres) == pytest.approx(expected, abs=1e-12)


@unhurried
@given(tables)
def test_reliability_equals_scikit_learn_on_the_same_bins(
    table: tuple[list[int], list[int]],
) -> None:
    positives, negatives, centres, truth, scores = values(table)
    if not len(truth):
        return
    # Squares of tenths are tenths on the root's scale, where scikit-learn's bins are as wide.
    share, _ = calibration_curve(truth, np.sqrt(scores), n_bins=10)
    found = reliability(positives, negatives, centres)
    assert sum(each.positives.total for each in found) == len(truth)
    if not np.isin(centres, RELIABILITY_EDGES).any():  # on an edge the bin is the one above
        assert [each.positives.rate for each in found] == pytest.approx(list(share))
        place = np.searchsorted(RELIABILITY_EDGES[1:-1], scores)
        means = [scores[place == each].mean() for each in np.unique(place)]
        assert [each.score for each in found] == pytest.approx(means)


@settings(deadline=None, max_examples=25)
@given(pairs)
def test_a_quality_equals_the_reference_libraries(
    drawn: list[tuple[float, float, bool | None]],
) -> None:
    primary, candidate = (np.array([row[side] for row in drawn]) for side in (0, 1))
    found, first, second = made(primary, candidate, [row[2] for row in drawn])
    known = np.array([row[2] is not None for row in drawn])
    truth = np.array([row[2] is True for row in drawn])[known]
    if not known.any():
        assert found is None
        return
    assert found is not None
    assert (found.labelled, found.positives) == (known.sum(), truth.sum())
    right = []
    for side, scores, raw in (
        (found.primary, first[known], primary[known]),
        (found.candidate, second[known], candidate[known]),
    ):
        fired = raw >= 0.5
        right.append(fired == truth)
        assert side.precision == Count(int((fired & truth).sum()), int(fired.sum()))
        assert side.recall == Count(int((fired & truth).sum()), int(truth.sum()))
        assert side.brier == pytest.approx(brier_score_loss(truth, scores, pos_label=True))
        if truth.any():
            expected = average_precision_score(truth, scores)
            assert side.average_precision == pytest.approx(expected)
        else:
            assert side.average_precision is None
    flips = [[0, int((right[0] & ~right[1]).sum())], [int((~right[0] & right[1]).sum()), 0]]
    exact = mcnemar(flips, exact=True).pvalue if sum(map(sum, flips)) else 1.0
    assert found.mcnemar_mid_p <= exact + 1e-12
    assert (found.mcnemar_mid_p == 1.0) == (sum(map(sum, flips)) == 0)
    assert found.primary.recall_at_volume == found.primary.recall


def test_at_equal_volume_the_candidate_fires_as_often_as_the_primary() -> None:
    random = np.random.default_rng(3)
    truth = random.random(4_000) < 0.05
    primary = np.clip(random.normal(0.2 + 0.3 * truth, 0.1), 0, 1)
    candidate = np.clip(random.normal(0.4 + 0.4 * truth, 0.1), 0, 1)
    found, _, scores = made(primary, candidate, truth.tolist())
    assert found is not None
    volume = int((primary >= 0.5).sum())
    side = found.candidate
    assert side.precision_at_volume.total == pytest.approx(volume)
    top = np.sort(scores)[-side.precision_at_volume.total :]
    caught = int((truth & (scores >= top[0])).sum())
    assert side.precision_at_volume.count == side.recall_at_volume.count == caught
    assert side.recall_at_volume.total == truth.sum()


@pytest.mark.parametrize("label", [True, False])
def test_one_sided_labels_give_what_can_be_known(label: bool) -> None:
    scores = np.linspace(0.01, 0.99, 40)
    found, _, _ = made(scores, scores[::-1], [label] * 40)
    assert found is not None
    difference = found.average_precision_difference
    if label:
        assert found.primary.average_precision == found.candidate.average_precision == 1
        assert difference.value == 0
        # No replicate differs, but of 40 positives one more may: see Agresti & Min.
        assert difference.high == pytest.approx(1.96 / 42)
        assert difference.low == -difference.high
        assert found.false_alarms == Paired(0, 0, 0, 0)
    else:
        assert found.primary.average_precision is None
        assert (difference.value, found.standard_error) == (None, None)
        assert found.primary.recall == Count(0, 0)


def test_scores_that_are_not_probabilities_have_no_brier_score_and_no_reliability() -> None:
    price = np.linspace(-3, 900, 50)
    found, _, _ = made(price, price / 1000, (price > 300).tolist())
    assert found is not None
    assert found.primary.brier is None
    assert found.primary.reliability == ()
    assert found.primary.average_precision == 1
