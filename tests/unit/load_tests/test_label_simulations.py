"""Labels, bursts without a unit, and failures of shadows: a few runs of each."""

import numpy as np
import pytest

from load_tests.gate_simulations import labels, shadow_failures, unnamed, unnamed_scores
from load_tests.gate_simulations.scenario import Kind, Scenario

SCENARIOS = (
    *labels.SCENARIOS,
    *labels.NEW,
    *shadow_failures.NEW,
    *unnamed.SCENARIOS,
    *unnamed_scores.NEW,
)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: f"{each.row}, {each.name}")
def test_neither_a_false_advance_nor_a_false_rollback(scenario: Scenario) -> None:
    found = scenario.simulate(np.random.default_rng(1), 2)
    assert max(found) <= (scenario.nominal or 0.0 if scenario.kind is Kind.DELAY else 0.0)
