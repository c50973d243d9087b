"""Flips of pairs without a unit: bursts of alike requests are told from independent ones."""

import numpy as np
import pandas as pd
import pytest

from comparison.counts.units.flip_clusters import clustering

DAY = 24 * 60
"""Minutes."""


def minutes(flips: np.ndarray, n: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"minute": 30_000_000 + np.arange(len(n)), "flips": flips, "n": n})


def in_bursts(size: int, days: int = 7, rate: float = 0.003) -> pd.DataFrame:
    """Customers that send `size` alike requests within a minute, 60 requests a minute."""
    random = np.random.default_rng(size)
    customers = random.poisson(60 / size, days * DAY)
    return minutes(size * random.binomial(customers, rate), size * customers)


@pytest.mark.parametrize("size", [5, 20, 50])
def test_bursts_have_about_their_size_as_design_effect(size: int) -> None:
    assert clustering(in_bursts(size)) == pytest.approx(size, rel=0.25)


@pytest.mark.parametrize("rate", [0.0001, 0.003, 0.1])
@pytest.mark.parametrize("volume", [3, 60, 1_000])
def test_independent_flips_are_seldom_taken_for_bursts(rate: float, volume: int) -> None:
    """Busy evenings, and flips that are then twice as frequent, are not bursts."""
    random = np.random.default_rng(5)
    evening = 1 + (np.arange(7 * DAY) // 60 % 24 >= 18)
    found = []
    for _ in range(40):
        n = random.poisson(volume * evening)
        found.append(clustering(minutes(random.binomial(n, rate * evening), n)))
    assert sum(each > 1.2 for each in found) <= 2


def test_a_break_in_the_middle_of_an_hour_is_not_a_burst() -> None:
    random = np.random.default_rng(6)
    n = random.poisson(600, 7 * DAY)
    rate = np.where(np.arange(len(n)) < 6 * DAY + 30, 0.002, 0.02)
    assert clustering(minutes(random.binomial(n, rate), n)) == 1.0


def test_a_break_in_the_first_hour_is_not_a_burst() -> None:
    random = np.random.default_rng(7)
    n = random.poisson(600, 60)
    rate = np.where(np.arange(60) < 34, 0.002, 0.05)
    assert clustering(minutes(random.binomial(n, rate), n)) == 1.0


def test_without_flips_there_are_no_bursts() -> None:
    assert clustering(minutes(np.zeros(60, int), np.full(60, 100))) == 1.0
    assert clustering(minutes(np.zeros(0, int), np.zeros(0, int))) == 1.0
