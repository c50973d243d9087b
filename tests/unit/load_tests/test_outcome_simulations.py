"""The simulations of outcomes, with few runs: what they draw, and what they find."""

import re

import numpy as np
import pytest

from flags.gate.sequences import FlipRatioSequence, UnitRatioSequence
from load_tests.gate_simulations.scenario import row_of
from load_tests.outcome_simulations.__main__ import last_line, price_table
from load_tests.outcome_simulations.errors import SCENARIOS, advanced, rolled_back
from load_tests.outcome_simulations.population import Plan, Rates, looks
from load_tests.outcome_simulations.requests import Case, Needed, needed

MOVING = (1.0, 5.0, 10.0, 50.0, 50.0)


@pytest.mark.parametrize("sticky", [False, True])
def test_what_is_drawn_has_the_ratio_that_was_asked_for(sticky: bool) -> None:
    """Of all looks together, by both estimates; what happens to a unit twice counts once."""
    plan = Plan(Rates.of_ratio(2.0), (50.0,) * 4, 200_000, sticky=sticky)
    *_, last = looks(plan, np.random.default_rng(5))
    for sequence in (FlipRatioSequence(last), UnitRatioSequence(last)):
        assert sequence.value is not None
        assert (1.6 if sticky else 1.88) < sequence.value < 2.12


def test_a_unit_that_comes_back_is_drawn_again_only_among_those_that_are_left() -> None:
    plan = Plan(Rates(), MOVING, 4_000, burst=5, sticky=True)
    *_, last = looks(plan, np.random.default_rng(5))
    shares = sorted({cell.share for cell in last})
    assert shares[0] == pytest.approx(0.01)
    assert any(share == pytest.approx(40 / 90) for share in shares)
    for share in shares:
        mine = [cell for cell in last if cell.share == share]
        units = sum(cell.units for cell in mine)
        if units > 1_000:
            got = sum(cell.units for cell in mine if cell.candidate) / units
            assert got == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize("sticky", [False, True])
def test_a_candidate_that_does_no_harm_is_kept_while_the_rollout_moves(sticky: bool) -> None:
    """Nominal is .025 a run: of 30 runs, more than four have a probability of .0008."""
    random = np.random.default_rng(11)
    plan = Plan(Rates(), MOVING, 3_000, burst=3 if sticky else 1, sticky=sticky)
    assert sum(rolled_back(random, plan=plan) for _ in range(30)) <= 4


def test_one_that_does_much_harm_is_rolled_back_and_never_let_go() -> None:
    random = np.random.default_rng(11)
    plan = Plan(Rates.of_ratio(2.5), (10.0,) * 8, 30_000)
    assert sum(rolled_back(random, plan=plan) for _ in range(10)) >= 8
    assert not any(advanced(random, plan=plan) for _ in range(10))


def test_flips_see_harm_with_a_fraction_of_the_requests() -> None:
    case = Case("case", Rates(harm=3.0), 50.0)
    found = needed(case, 8, np.random.default_rng(7))
    assert 2.5 * found.requests["flips"] < found.requests["GrowthBook"]
    assert 2.5 * found.requests["flips"] < found.requests["all units"]


def test_the_last_line_is_for_programs() -> None:
    rows = [row_of(scenario, np.zeros(10)) for scenario in SCENARIOS]
    requests = {"plain, one look": 900.0, "flips": 100.0, "all units": 800.0, "GrowthBook": 700.0}
    found = [Needed(Case("case", Rates(), 10.0), requests)]
    assert re.fullmatch(
        r"outcomes 33: false rollback max 0\.0000 of nominal 0\.0250, false advance max 0\.0000, "
        r"requests 7\.0x fewer than plain",
        last_line(rows, found),
    )
    assert "1/7.0 of plain" in price_table(found)[1]
