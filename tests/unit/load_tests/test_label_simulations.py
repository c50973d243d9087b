"""Labels, bursts without a unit, and failures of shadows: a few runs of each."""

import numpy as np
import pytest

from load_tests.gate_simulations import labels, shadow_failures, unnamed, unnamed_scores
from load_tests.gate_simulations.scenario import Kind, Scenario

SCENARIOS = (
    *labels.SCENARIOS,
    *shadow_failures.SCENARIOS,
    *unnamed.SCENARIOS,
    *unnamed_scores.SCENARIOS,
)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: f"{each.row}, {each.name}")
def test_neither_a_false_advance_nor_a_false_rollback(scenario: Scenario) -> None:
    found = scenario.simulate(np.random.default_rng(1), 3)
    if scenario.kind is Kind.DELAY:  # promised of the median
        assert np.median(found) <= (scenario.nominal or 0.0)
    else:
        assert max(found) == 0.0
