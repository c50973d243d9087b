import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar

from comparison.counts.tables import OutputAggregates
from comparison.evidence.calibration import calibrate
from comparison.evidence.score_counts import ScoreCounts
from comparison.evidence.statistics import paired_ratio
from flags.gate.evidence import Calibration, Count
from tests.support.count_tables import OUTPUT, output

scores = st.floats(0, 1, allow_subnormal=False)


def offer(made: OutputAggregates) -> Calibration | None:
    return calibrate(ScoreCounts.of(made.scores)["candidate"])


def flood(pairs: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a candidate that ranks better and fires several times as often."""
    random = np.random.default_rng(11)
    truth = random.random(pairs) < 0.02
    shared = random.normal(size=pairs)
    primary = 1 / (1 + np.exp(4 - shared - 2.5 * truth))
    candidate = 1 / (1 + np.exp(2.2 - shared - 3.5 * truth))
    return primary, candidate, truth


def test_the_offered_threshold_does_what_is_said_of_it() -> None:
    """The offered threshold is exact: a second count on the scores gives the same alarms."""
    primary, candidate, truth = flood()
    found = offer(output(primary, candidate, truth.tolist()))
    assert found is not None
    before = primary >= 0.5
    fired = candidate >= found.threshold
    assert (candidate >= 0.5).sum() > 3 * before.sum()
    assert found.alarms.candidate == Count(int(fired.sum()), len(fired))
    assert found.alarms.primary == Count(int(before.sum()), len(before))
    assert found.alarms.both == (before & fired).sum()
    assert found.recall == Count(int((fired & truth).sum()), int(truth.sum()))
    assert found.precision == Count(int((fired & truth).sum()), int(fired.sum()))
    assert found.alarms.candidate.count == pytest.approx(before.sum(), rel=0.005)
    ratio = paired_ratio(found.alarms.both, found.alarms.candidate_only, found.alarms.primary_only)
    assert ratio.low < 1 < ratio.high


def test_the_threshold_survives_the_payload() -> None:
    primary, candidate, truth = flood(3_000)
    found = offer(output(primary, candidate, truth.tolist()))
    assert found is not None
    payload = json.loads(json.dumps(found.payload(OUTPUT)))
    assert payload == {"threshold": {OUTPUT: found.threshold}}


def test_at_the_ends_of_the_interval_the_volumes_can_just_not_be_told_apart() -> None:
    primary, candidate, _ = flood()
    made = output(primary, candidate)
    found = offer(made)
    assert found is not None
    edges = ScoreCounts.of(made.scores)["candidate"].thresholds.tolist()

    def p_value(threshold: float) -> float:
        before, fired = primary >= 0.5, candidate >= threshold
        table = [[0, (before & ~fired).sum()], [(~before & fired).sum(), 0]]
        return float(mcnemar(table, exact=False, correction=False).pvalue)

    low, high = edges.index(found.low), edges.index(found.high)
    assert p_value(found.low) >= 0.05
    assert p_value(edges[low - 1]) < 0.05
    assert p_value(found.high) >= 0.05
    assert p_value(edges[high + 1]) < 0.05


def test_the_interval_covers_the_threshold_of_all_traffic_as_often_as_it_says() -> None:
    """300 samples of 2,000 pairs, from 20,000 pairs that stand for all traffic."""
    primary, candidate, _ = flood()

    def calibrated(rows: np.ndarray) -> Calibration:
        found = offer(output(primary[rows], candidate[rows], thresholds=(0.1, None)))
        assert found is not None
        return found

    whole = calibrated(np.arange(len(primary)))
    random, covered = np.random.default_rng(4), 0
    for _ in range(300):
        rows = random.integers(0, len(primary), 2_000)
        found = calibrated(rows)
        covered += found.low <= whole.threshold <= found.high
    assert covered / 300 >= 0.92


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(scores, scores), min_size=1, max_size=40))
def test_no_edge_comes_nearer_to_the_primary_s_volume(drawn: list[tuple[float, float]]) -> None:
    primary, candidate = (np.array(side) for side in zip(*drawn, strict=True))
    made = output(primary, candidate)
    found, volume = offer(made), int((primary >= 0.5).sum())
    if not volume:
        assert found is None
        return
    assert found is not None
    distances = [abs(int((candidate >= edge).sum()) - volume) for edge in [*candidate, np.inf]]
    fired = int((candidate >= found.threshold).sum())
    assert abs(fired - volume) == min(distances)
    assert found.alarms.candidate.count == fired
    assert found.low <= found.threshold <= found.high
    assert found.recall is None


def test_a_constant_candidate_gets_a_threshold_that_its_score_does_not_reach() -> None:
    primary = np.linspace(0, 1, 101)
    found = offer(output(primary[50:80], np.full(30, 0.25), thresholds=(0.7, 0.5)))
    assert found is not None
    assert found.threshold > 0.25
    assert found.alarms.candidate.count == 0
    assert not found.is_alike


def test_whether_the_offered_threshold_keeps_the_number_of_alarms_is_said() -> None:
    """Scores in steps of 0.5: no threshold has as many alarms as the primary."""
    primary, candidate, _ = flood()
    fine = offer(output(primary, candidate, thresholds=(0.5, 0.5)))
    coarse = offer(output(primary, np.round(candidate * 2) / 2, thresholds=(0.5, 0.5)))
    assert fine is not None
    assert fine.is_alike
    assert coarse is not None
    assert not coarse.is_alike


def test_no_threshold_is_offered_without_alarms_of_the_primary() -> None:
    low = np.linspace(0, 0.4, 50)
    assert offer(output(low, low + 0.3)) is None
    assert offer(output([], [])) is None
    assert offer(output(low, low, thresholds=(None, None))) is None


def test_a_candidate_without_a_threshold_is_offered_one() -> None:
    primary, candidate, _ = flood(2_000)
    made = output(primary, candidate, thresholds=(0.5, None))
    found = offer(made)
    assert not len(made.alarms)
    assert found is not None
    assert found.alarms.primary.count == (primary >= 0.5).sum()


def test_scores_of_any_size_can_be_calibrated() -> None:
    random = np.random.default_rng(8)
    price = random.normal(-2e5, 4e4, 4_000)
    found = offer(output(price, price * 3 + 7, thresholds=(-1.5e5, -1.5e5)))
    assert found is not None
    assert math.isclose(found.threshold, -1.5e5 * 3 + 7, rel_tol=0.001)
