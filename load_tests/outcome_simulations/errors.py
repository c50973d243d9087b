"""Error rates: how often outcomes roll back a good candidate, or let a bad one advance.

A rollback is checked like in the gate, with the share of the error rate for a playbook with one
metric. The error rate is 0.5, so that a share of 0.025 can be measured in some hundred runs.
"""

from functools import partial
from typing import Final

import numpy as np

from flags.gate.error_rate import SHARES
from flags.gate.sequences import FlipRatioSequence, UnitRatioSequence
from flags.playbook.outcomes import OutcomePlan
from load_tests.gate_simulations.scenario import Kind, Scenario, one_by_one
from load_tests.outcome_simulations.population import Plan, Rates, looks

_ERROR_RATE: Final = 0.5
_NOMINAL: Final = _ERROR_RATE * SHARES["outcomes"] / 2
"""The metric's share; labels have the other half."""

_HARM: Final = 1.5
_NOMINAL_ADVANCE: Final = 0.01
_LIMITS: Final = OutcomePlan()
_MARGINS: Final = {False: _LIMITS.margin, True: OutcomePlan(kind="continuous").margin}
"""Margins up to which a candidate may advance; by whether the outcome is money."""
_EIGHT: Final = 8


def rolled_back(random: np.random.Generator, *, plan: Plan, alpha: float = _NOMINAL) -> bool:
    """Say whether a plan is rolled back at any look; `alpha` is the metric's share."""
    for cells in looks(plan, random):
        for sequence in (FlipRatioSequence(cells), UnitRatioSequence(cells)):
            if sequence.above(_LIMITS.rollback, alpha / 2):
                return True
    return False


def advanced(random: np.random.Generator, *, plan: Plan, error_rate: float = 0.05) -> bool:
    """Say whether the ratio on flips passes at any look."""
    return any(
        FlipRatioSequence(cells).below(_MARGINS[plan.money], error_rate / 2)
        for cells in looks(plan, random)
    )


def _at(rollout: float, rates: Rates, **more: int | bool) -> Plan:
    """Return a plan with looks at one rollout; a smaller rollout needs more requests."""
    units = {1.0: 60_000, 10.0: 30_000, 50.0: 15_000}[rollout]
    if more.get("sticky"):
        units = {1.0: 12_000, 10.0: 6_000, 50.0: 3_000}[rollout]
    return Plan(rates, (rollout,) * _EIGHT, **{"units": units, **more})  # type: ignore[arg-type]


def _moving(rates: Rates, **more: int | bool) -> Plan:
    rollouts = (1.0, 1.0, 5.0, 5.0, 10.0, 10.0, 50.0, 50.0, 50.0)
    return Plan(rates, rollouts, **{"units": 20_000, **more})  # type: ignore[arg-type]


def _kept(name: str, plan: Plan) -> Scenario:
    one = partial(rolled_back, plan=plan)
    return Scenario(name, "E1", Kind.FALSE_ROLLBACK, _NOMINAL, partial(one_by_one, one), 400)


def _stopped(name: str, plan: Plan) -> Scenario:
    one = partial(advanced, plan=plan)
    return Scenario(name, "E2", Kind.FALSE_ADVANCE, _NOMINAL_ADVANCE, partial(one_by_one, one), 400)


_SAME, _LIMIT, _WORSE = Rates(), Rates.of_ratio(_LIMITS.rollback), Rates.of_ratio(_HARM)
_USERS: Final = {"sticky": True, "burst": 5}

SCENARIOS: Final = (
    *(
        _kept(f"{what}, {rollout:g} %", _at(rollout, rates))
        for rollout in (1.0, 10.0, 50.0)
        for what, rates in (("ratio 1", _SAME), ("ratio at the limit", _LIMIT))
    ),
    _kept("bursts of 20, ratio 1, 10 %", _at(10.0, _SAME, burst=20)),
    _kept("bursts of 20, at the limit, 10 %", _at(10.0, _LIMIT, burst=20)),
    *(
        _kept(f"users, ratio 1, {rollout:g} %", _at(rollout, _SAME, sticky=True, burst=5))
        for rollout in (1.0, 10.0, 50.0)
    ),
    _kept("users with 50 a look, ratio 1, 10 %", _at(10.0, _SAME, sticky=True, burst=50)),
    _kept("users, at the limit, 10 %", _at(10.0, _LIMIT, sticky=True, burst=5)),
    _kept("1 to 50 %, ratio 1", _moving(_SAME)),
    _kept("1 to 50 %, at the limit", _moving(_LIMIT)),
    _kept("users, 1 to 50 %, ratio 1", _moving(_SAME, sticky=True, burst=5, units=6_000)),
    _kept("users, 1 to 50 %, at the limit", _moving(_LIMIT, sticky=True, burst=5, units=6_000)),
    *(
        _kept(f"money, {what}, {rollout:g} %", _at(rollout, rates, money=True))
        for rollout in (1.0, 10.0, 50.0)
        for what, rates in (("ratio 1", _SAME), ("ratio at the limit", _LIMIT))
    ),
    _kept("money, bursts of 20, ratio 1, 10 %", _at(10.0, _SAME, burst=20, money=True)),
    _kept("money, 1 to 50 %, at the limit", _moving(_LIMIT, money=True)),
    *(_stopped(f"1.5x, {rollout:g} %", _at(rollout, _WORSE)) for rollout in (1.0, 10.0, 50.0)),
    _stopped("1.5x, bursts of 20, 10 %", _at(10.0, _WORSE, burst=20)),
    _stopped("1.5x, users, 1 to 50 %", _moving(_WORSE, sticky=True, burst=5, units=6_000)),
    *(
        _stopped(f"money, 1.5x, {rollout:g} %", _at(rollout, _WORSE, money=True))
        for rollout in (10.0, 50.0)
    ),
    _stopped(
        "money, amounts on flips 7 times as large, 50 %", _at(50.0, _SAME, money=True, dearer=7.0)
    ),
)
