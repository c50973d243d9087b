"""Flips of pairs without a unit: bursts of alike requests differ from independent requests."""

import numpy as np
import pandas as pd
import pytest

from comparison.counts.units.flip_clusters import design_effect, excess_flips

DAY = 24 * 60
"""Minutes."""


def minutes(flips: np.ndarray, n: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"minute": 30_000_000 + np.arange(len(n)), "flips": flips, "n": n})


def in_bursts(size: int, days: int = 7, rate: float = 0.003) -> pd.DataFrame:
    """Return flips of customers with bursts of `size` alike requests, 60 requests a minute."""
    random = np.random.default_rng(size)
    customers = random.poisson(60 / size, days * DAY)
    return minutes(size * random.binomial(customers, rate), size * customers)


@pytest.mark.parametrize("size", [5, 20, 50])
def test_bursts_have_about_their_size_as_design_effect(size: int) -> None:
    assert design_effect(in_bursts(size)) == pytest.approx(size, rel=0.25)


@pytest.mark.parametrize("rate", [0.0001, 0.003, 0.1])
@pytest.mark.parametrize("volume", [3, 60, 1_000])
def test_independent_flips_are_seldom_taken_for_bursts(rate: float, volume: int) -> None:
    """Busy evenings, and flips that are then twice as frequent, are not bursts."""
    random = np.random.default_rng(5)
    evening = 1 + (np.arange(7 * DAY) // 60 % 24 >= 18)
    found = []
    for _ in range(40):
        n = random.poisson(volume * evening)
        found.append(design_effect(minutes(random.binomial(n, rate * evening), n)))
    assert sum(each > 1.2 for each in found) <= 2


def test_bursts_that_are_all_the_traffic_are_seen() -> None:
    """Two bursts of 100 are flips; the minutes between bursts have no requests."""
    n = np.zeros(7 * DAY, int)
    n[::100] = 50
    flips = np.where(np.isin(np.arange(len(n)), [2_000, 7_000]), n, 0)
    assert design_effect(minutes(flips, n)) == pytest.approx(50, rel=0.25)


@pytest.mark.parametrize("volume", [10_000, 100_000])
def test_a_rate_that_drifts_within_the_hour_is_not_a_burst(volume: int) -> None:
    random = np.random.default_rng(8)
    swing = 1 + 0.3 * np.sin(2 * np.pi * np.arange(2 * DAY) / 60)
    n = random.poisson(volume * swing)
    assert design_effect(minutes(random.binomial(n, 0.005 * swing), n)) < 1.2


@pytest.mark.parametrize(("pairs", "most"), [(0, 16), (20, 10)], ids=["alone", "among"])
def test_few_flips_of_a_burst_count(pairs: int, most: int) -> None:
    """A hundred flips in four minutes, among quiet minutes, or all but one request of the day."""
    flips = np.array([30, 30, 30, 10] + DAY * [0])
    n = np.maximum(flips, pairs)
    n[-1] = 1
    found = excess_flips(minutes(flips, n), ["flips"])
    assert 4 <= flips.sum() - found["flips"].sum() <= most


def test_in_few_minutes_a_burst_cannot_be_told_from_a_change() -> None:
    """A rehearsal of minutes, or a candidate that broke at once, has no other minutes."""
    flips, n = np.array([300, 300, 40]), np.array([3_000, 3_000, 400])
    assert design_effect(minutes(flips, n)) == 1
    assert excess_flips(minutes(flips[:1], n[:1]), ["flips"])["flips"].sum() == 0


def test_few_flips_of_a_burst_count_if_it_is_most_of_the_traffic_nearby() -> None:
    n = np.ones(DAY, int)
    n[700:704] = [31, 31, 31, 11]
    found = excess_flips(minutes(n - 1, n), ["flips"])
    assert found["flips"].sum() >= 80


def test_a_batch_of_independent_requests_counts_as_single_ones_do() -> None:
    """Each hour 5,000 requests come within a minute, beside ten a minute."""
    random = np.random.default_rng(10)
    n = np.full(DAY, 10)
    n[::60] = 5_000
    flips = random.binomial(n, 0.005)
    assert excess_flips(minutes(flips, n), ["flips"])["flips"].sum() <= 0.02 * flips.sum()


@pytest.mark.parametrize("rate", [0.0001, 0.005, 0.05])
def test_nearly_all_independent_flips_count(rate: float) -> None:
    random = np.random.default_rng(9)
    n = random.poisson(600 * (1 + 0.3 * np.sin(np.arange(DAY) / 10)))
    flips = random.binomial(n, rate)
    assert excess_flips(minutes(flips, n), ["flips"])["flips"].sum() <= 0.005 * flips.sum()


def test_a_break_in_the_middle_of_an_hour_is_not_a_burst() -> None:
    random = np.random.default_rng(6)
    n = random.poisson(600, 7 * DAY)
    rate = np.where(np.arange(len(n)) < 6 * DAY + 30, 0.002, 0.02)
    assert design_effect(minutes(random.binomial(n, rate), n)) == 1.0


def test_a_break_in_the_first_hour_is_not_a_burst() -> None:
    random = np.random.default_rng(7)
    n = random.poisson(600, 60)
    rate = np.where(np.arange(60) < 34, 0.002, 0.05)
    assert design_effect(minutes(random.binomial(n, rate), n)) == 1.0


def test_without_flips_there_are_no_bursts() -> None:
    assert design_effect(minutes(np.zeros(60, int), np.full(60, 100))) == 1.0
    nothing = minutes(np.zeros(0, int), np.zeros(0, int))
    assert design_effect(nothing) == 1.0
    assert excess_flips(nothing, ["flips"]).empty
    assert excess_flips(minutes(np.zeros(60, int), np.zeros(60, int)), ["flips"]).empty
