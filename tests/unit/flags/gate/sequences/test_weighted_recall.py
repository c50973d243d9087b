"""The weighted recall difference covers the truth if labels were selected by cell."""

import numpy as np
import pytest

from flags.gate.evidence import LabelledCell
from flags.gate.sequences.weighted_recall import WeightedRecallSequence

CELLS = ((True, True), (True, False), (False, True), (False, False))
PAIRS = np.array([400, 150, 150, 19_300])
POSITIVE = np.array([0.5, 0.4, 0.2, 0.005])
"""Share of positives of each cell."""
COVERAGE = np.array([1.0, 0.9, 0.3, 0.05])


def drawn(random: np.random.Generator) -> tuple[tuple[LabelledCell, ...], float]:
    """Return cells of which some pairs have labels, and the true difference of recalls."""
    labels = random.binomial(PAIRS, COVERAGE)
    positives = random.binomial(labels, POSITIVE)
    cells = tuple(
        LabelledCell("primary", *fired, int(pairs), int(hit), int(known - hit))
        for fired, pairs, known, hit in zip(CELLS, PAIRS, labels, positives, strict=True)
    )
    expected = PAIRS * POSITIVE
    return cells, float((expected[2] - expected[1]) / expected.sum())


def test_the_estimate_is_that_of_inverse_coverage_and_the_interval_holds_it() -> None:
    random = np.random.default_rng(5)
    estimates, missed = [], 0
    for _ in range(40):
        cells, truth = drawn(random)
        sequence = WeightedRecallSequence(cells)
        weights = [each.pairs / each.labelled for each in cells]
        hits = np.array([w * each.positives for w, each in zip(weights, cells, strict=True)])
        assert sequence.value == pytest.approx((hits[2] - hits[1]) / hits.sum())
        low, high = sequence.interval(0.05)
        assert -1 <= low < (sequence.value or 0) < high <= 1
        missed += not low <= truth <= high
        estimates.append(sequence.value)
    assert missed <= 2
    assert np.mean(estimates) == pytest.approx(truth, abs=0.02)


def test_a_cell_without_labels_leaves_both_bounds_open() -> None:
    cells, _ = drawn(np.random.default_rng(5))
    both, primary_only, candidate_only, neither = cells
    blind = LabelledCell("primary", True, False, 15_000, 0, 0)
    low, high = WeightedRecallSequence((both, blind, candidate_only, neither)).interval(0.05)
    assert low < -0.9
    assert high > 0
    del primary_only


def test_reported_positives_without_alarm_do_not_hide_a_loss() -> None:
    """Callers report missed positives only, so nearly nothing is known about the others."""
    cells = (
        LabelledCell("primary", True, True, 1_000, 500, 500),
        LabelledCell("primary", True, False, 600, 300, 300),
        LabelledCell("primary", False, True, 100, 50, 50),
        LabelledCell("primary", False, False, 100_000, 60, 0),
    )
    sequence = WeightedRecallSequence(cells)
    assert sequence.value == pytest.approx(0, abs=0.01)
    assert not sequence.above(-0.05, 0.025)


def test_more_labels_make_it_narrower() -> None:
    cells, _ = drawn(np.random.default_rng(5))
    few, many = (WeightedRecallSequence(cells).scaled(factor).interval(0.05) for factor in (1, 20))
    assert few[0] < many[0] < many[1] < few[1]
