"""The confidence sequences of outcomes: their estimates and error rates."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.gate.evidence import OutcomeCell
from flags.gate.sequences import FlipRatioSequence, UnitRatioSequence

counts = st.integers(0, 200)
shares = st.sampled_from([0.01, 0.1, 0.5, 0.9])


@st.composite
def tables(draw: st.DrawFn, *, only_flips: bool = False) -> tuple[OutcomeCell, ...]:
    """Draw outcomes at one share: with several, arms of different shares may contradict."""
    found, share = [], draw(shares)
    for candidate in (False, True):
        for _ in range(2):
            found.append(OutcomeCell(candidate, share, True, 1.0, 1.0, draw(counts)))
            if not only_flips:
                found.append(OutcomeCell(candidate, share, False, 0.0, 1.0, draw(counts)))
                found.append(OutcomeCell(candidate, share, True, 0.5, 0.5, draw(counts)))
    return tuple(found)


@given(tables(only_flips=True))
def test_where_every_outcome_lies_on_a_flip_both_sequences_say_the_same(
    table: tuple[OutcomeCell, ...],
) -> None:
    flips, units = FlipRatioSequence(table), UnitRatioSequence(table)
    assert flips.value == (None if units.value is None else pytest.approx(units.value))
    for limit in (0.5, 0.8, 1.0, 1.25, 3.0):
        assert flips.above(limit, 0.01) == units.above(limit, 0.01)


@given(tables())
def test_the_interval_holds_the_estimate_and_ends_where_limits_are_refused(
    table: tuple[OutcomeCell, ...],
) -> None:
    for sequence in (FlipRatioSequence(table), UnitRatioSequence(table)):
        low, high = sequence.interval(0.05)
        value = sequence.value
        assert 0 <= low <= high <= math.inf
        if value is not None and 0 < value < math.inf:
            assert low <= value * 1.001
            assert value <= high * 1.001
        if low > 0:
            assert sequence.above(low * 0.99, 0.025)
            assert not sequence.above(low * 1.01, 0.025)


def test_the_estimate_is_that_of_all_traffic_though_only_flips_are_compared() -> None:
    """Of 100 events a side 20 lie on flips; the candidate doubles those: 1.2 of all."""
    table = (
        OutcomeCell(False, 0.5, True, 1.0, 1.0, 20),
        OutcomeCell(False, 0.5, False, 0.0, 1.0, 80),
        OutcomeCell(True, 0.5, True, 1.0, 1.0, 40),
        OutcomeCell(True, 0.5, False, 0.0, 1.0, 95),
    )
    assert FlipRatioSequence(table).value == pytest.approx(1.2)
    assert UnitRatioSequence(table).value == pytest.approx(1.35)


def test_what_was_assigned_rarely_weighs_more() -> None:
    table = (
        OutcomeCell(False, 0.1, True, 1.0, 1.0, 90),
        OutcomeCell(True, 0.1, True, 1.0, 1.0, 10),
        OutcomeCell(False, 0.5, True, 1.0, 1.0, 30),
        OutcomeCell(True, 0.5, True, 1.0, 1.0, 30),
    )
    for sequence in (FlipRatioSequence(table), UnitRatioSequence(table)):
        assert sequence.value == pytest.approx(1.0)


def test_outcomes_of_which_none_lies_on_a_flip_show_that_the_flips_do_no_harm() -> None:
    """300 events on equal decisions and none on flips exclude a ratio of 1.10."""
    table = (
        OutcomeCell(False, 0.5, False, 0.0, 1.0, 300),
        OutcomeCell(True, 0.5, False, 0.0, 1.0, 300),
    )
    assert FlipRatioSequence(table).below(1.1, 0.025)
    assert not FlipRatioSequence(table).above(1.0, 0.025)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_over_all_looks_it_errs_no_more_often_than_it_says(share: float) -> None:
    """A ratio that is exactly the limit, 1.25 by flips of which a fifth has the outcomes."""
    rng = np.random.default_rng(11)
    runs, looks, alpha, errors = 200, 12, 0.1, 0
    for _ in range(runs):
        found: Counter[tuple[bool, float, float]] = Counter()
        for _look in range(looks):
            size = 4_000
            arm = rng.random(size) < share
            flip = rng.random(size) < 0.1
            rate = np.where(flip, np.where(arm, 0.045, 0.02), 0.02 * 0.2 / 0.9)
            happened = rng.random(size) < rate
            for candidate, on_flip in zip(arm[happened], flip[happened], strict=True):
                found[bool(candidate), float(on_flip), 1.0] += 1
            table = tuple(
                OutcomeCell(candidate, share, bool(on_flip), on_flip, total, n)
                for (candidate, on_flip, total), n in found.items()
            )
            # 0.02 on a tenth and 0.004 on the rest: 0.006 of all; 0.0025 more are 1.42 of it.
            if FlipRatioSequence(table).above(0.0085 / 0.006, alpha):
                errors += 1
                break
    assert errors <= runs * alpha
