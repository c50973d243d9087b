"""The harness of the gate's simulations."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from load_tests.gate_simulations import (
    kinds,
    latency,
    recent,
    rhythm,
    thresholds,
    unit_streams,
    units,
)
from load_tests.gate_simulations.__main__ import scenarios
from load_tests.gate_simulations.scenario import (
    Kind,
    Row,
    Scenario,
    clopper_pearson,
    simulated,
)
from load_tests.gate_simulations.table import last_line, table
from tests.support.paths import ROOT


def coins(random: np.random.Generator, runs: int) -> np.ndarray:
    return random.random(runs) < 0.1


def prices(random: np.random.Generator, runs: int) -> np.ndarray:
    return np.column_stack([np.full(runs, 130.0), np.full(runs, 100.0)])


COINS = Scenario("coins", "B1", Kind.FALSE_ROLLBACK, 0.05, coins, 1_000)
PRICES = Scenario("prices", "B1", Kind.PRICE, 1.3, prices, 10)


@pytest.fixture(scope="module")
def rows():
    with ProcessPoolExecutor(2) as pool:
        return [simulated(COINS, 1_000, pool), simulated(PRICES, 10, pool)]


def test_the_interval_is_that_of_clopper_and_pearson():
    # Their table: 95 % limits of 2 of 10.
    assert clopper_pearson(2, 10) == pytest.approx((0.0252, 0.5561), abs=1e-4)


def test_a_row_holds_the_rate_found_with_its_interval_and_whether_the_promise_is_kept(rows):
    coin, price = rows
    assert coin.low < 0.1 < coin.high
    assert coin.runs == 1_000
    assert not coin.holds
    assert price.found == pytest.approx(1.3)
    assert price.holds


def test_the_same_runs_are_drawn_whatever_the_number_of_processes(rows):
    with ProcessPoolExecutor(1) as pool:
        assert simulated(COINS, 1_000, pool) == rows[0]


def test_the_last_line_says_the_worst_of_each_kind(rows):
    assert last_line(rows) == (
        f"simulations 2: false rollback max {rows[0].found:.4f} of nominal 0.0500, "
        "false advance max -, price 1.30x in pairs"
    )
    assert table(rows).splitlines()[1].startswith("B1   coins")
    assert " !" in table(rows).splitlines()[1]


@pytest.mark.parametrize(
    "scenario",
    [
        each
        for module in (units, unit_streams, thresholds, kinds)
        for each in module.SCENARIOS
        if each.kind is not Kind.PRICE
    ],
    ids=lambda each: f"{each.row}: {each.name}",
)
def test_the_gate_does_not_err_in_a_run_of_a_situation(scenario):
    """What errs as often as the first gate did is seen in one of these."""
    assert not np.any(scenario.simulate(np.random.default_rng(1), 1))


@pytest.mark.parametrize(
    "scenario",
    [each for each in unit_streams.SCENARIOS if each.kind is Kind.PRICE],
    ids=lambda each: each.name,
)
def test_units_cost_no_more_requests_than_promised(scenario):
    runs = scenario.simulate(np.random.default_rng(1), 50)
    new, old = np.median(runs, axis=0)
    assert new / old <= (scenario.nominal or 2.0)


@pytest.mark.parametrize("pairs", [20_000, 200_000])
@pytest.mark.parametrize("ratio", [rhythm.by_day, rhythm.by_week])
def test_a_rhythm_of_the_day_or_the_week_rolls_nothing_back(ratio, pairs):
    assert not rhythm.healthy(ratio, pairs, np.random.default_rng(1), 1).any()


def test_a_late_break_takes_at_most_three_times_what_a_test_takes_that_begins_with_it():
    random = np.random.default_rng(1)
    hours = rhythm.broken(20_000, random, 3)
    begun = rhythm.begun_at_the_break(20_000, random, 5)
    assert np.median(hours) <= 3 * np.median(begun)


@pytest.mark.parametrize(
    "scenario", [*latency.SCENARIOS, *recent.SCENARIOS], ids=lambda each: each.name
)
def test_latency_and_what_is_of_late_err_in_no_run_and_are_seen_soon(scenario):
    [found] = scenario.simulate(np.random.default_rng(1), 1)
    assert found <= (scenario.nominal if scenario.kind is Kind.DELAY else 0)


def documented() -> list[Row]:
    """Return the rows of the table in load_tests/README.md."""
    page = (ROOT / "load_tests" / "README.md").read_text(encoding="utf-8")
    _, _, after = page.partition("| row | scenario | kind | nominal | found |")
    found = []
    for line in after.partition("\n\n")[0].splitlines()[2:]:
        row, name, kind, nominal, value, interval, runs = line.strip("| ").split(" | ")
        low, high = interval.split(" to ")
        promised = None if nominal == "-" else figure(nominal)
        scenario = Scenario(name, row, Kind(kind), promised, coins, int(runs))
        found.append(Row(scenario, figure(value), figure(low), figure(high), int(runs)))
    return found


def figure(text: str) -> float:
    return float(text.removesuffix(" h").removesuffix("x"))


def test_the_last_line_in_the_document_is_that_of_its_table():
    page = (ROOT / "load_tests" / "README.md").read_text(encoding="utf-8")
    assert f"\n{last_line(documented())}\n" in page


def test_the_table_in_the_document_has_each_scenario_with_its_promise():
    promised = {(each.row, each.name): (each.kind, each.nominal) for each in scenarios()}
    shown = {(s.row, s.name): (s.kind, s.nominal) for s in (each.scenario for each in documented())}
    assert shown.keys() == promised.keys()
    for each, (kind, nominal) in promised.items():
        assert shown[each] == (kind, nominal and pytest.approx(nominal, abs=5e-5))
