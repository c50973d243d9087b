"""Simulations of latency: fresh processes that warm up, and calls that stall together."""

import math
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from comparison.evidence.health import BlockDurations
from flags.gate.checks.health import health_checks
from flags.gate.error_rate import error_share, visit_share
from flags.gate.evidence import DURATION_EDGES, Durations
from flags.gate.sequences.restart import detections
from flags.gate.verdict import Outcome
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Array, Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, evidence

_PLAYBOOK: Final = Playbook(flag=FLAG)
_STEP: Final = _PLAYBOOK.steps_at(10)[0]
_SIDES: Final = ("primary", "candidate")
_BLOCKS, _CALLS = 72, 200
"""Ten minutes each: half a day."""

_STALL: Final = 50
"""Calls."""


def _calls(random: np.random.Generator) -> Array:
    """Draw the durations of both sides' calls in seconds, shape (2, blocks, calls), by time."""
    return np.asarray(0.02 * np.exp(0.4 * random.normal(size=(2, _BLOCKS, _CALLS))))


def _fails(calls: Array, counts: Array) -> bool:
    """Say whether a quantile rolls back at any hourly look; `counts` marks the calls to use."""
    bins = np.searchsorted(DURATION_EDGES, calls, side="right")
    side, block, _ = np.indices(calls.shape)
    rows = pd.DataFrame(
        {
            "side": np.array(_SIDES)[side[counts]],
            "block": block[counts],
            "bin": bins[counts],
        }
    )
    table = rows.groupby(["block", "side", "bin"]).size().rename("n").reset_index()
    for looked in range(6, _BLOCKS + 1, 6):
        seen = table.loc[table["block"] < looked]
        blocks = BlockDurations.of(seen)
        health = {
            "durations": {name: _durations(seen, name) for name in _SIDES},
            "block_ratios": {
                f"latency_p{percent}": blocks.ratios(percent / 100) for percent in (50, 95, 99)
            },
        }
        found = evidence(rollout=_STEP.rollout, health=health)
        checks = health_checks(found, _PLAYBOOK, _STEP)
        if any(each.outcome is Outcome.FAIL and "latency" in each.name for each in checks):
            return True
    return False


def _durations(table: pd.DataFrame, side: str) -> Durations:
    rows = table.loc[table["side"] == side]
    size = len(DURATION_EDGES) + 1
    return Durations(tuple(np.bincount(rows["bin"], rows["n"], size).astype(int).tolist()))


def _fresh(random: np.random.Generator) -> bool:
    """Start four processes of the candidate in turn; each is slow for 20 to 300 calls."""
    calls = _calls(random)
    counts = np.ones(calls.shape, dtype=bool)
    flat, evident = calls[1].reshape(-1), counts[1].reshape(-1)
    for begun in range(0, flat.size, flat.size // 4):
        slow = int(random.integers(20, 301))
        flat[begun : begun + slow] *= random.uniform(4, 8)
        evident[begun : begun + _PLAYBOOK.warm_up] = False
    return _fails(calls, counts)


def _stalls(random: np.random.Generator) -> bool:
    """Let 50 calls stall together from time to time, on both sides with the same distribution."""
    calls = _calls(random)
    for side in (0, 1):
        flat = calls[side].reshape(-1)
        for begun in random.integers(flat.size, size=random.poisson(20)):
            flat[begun : begun + _STALL] += random.exponential(0.5)
    return _fails(calls, np.ones(calls.shape, dtype=bool))


def _sure_after(beyond: Array, check: str) -> float:
    """Return the number of minutes after which most minutes are surely beyond a limit."""
    needed = -math.log(visit_share(error_share(_PLAYBOOK.error_rate, check), 1))
    cells = ((number, [(1.0, 2.0 * each, 1.0)]) for number, each in enumerate(beyond.tolist()))
    for number, found in enumerate(detections(cells)):
        if found.log_evidence >= needed:
            return number + 1.0
    return math.inf


def _long_stalls(random: np.random.Generator) -> bool:
    """Let each side stall three times a day for one to ten minutes, ten times as slow."""
    medians = np.exp(0.1 * random.normal(size=(2, _GOOD)))
    for side in (0, 1):
        for begun in random.integers(_GOOD, size=random.poisson(3 * _GOOD / 1_440)):
            medians[side, begun : begun + int(random.integers(1, 11))] *= 10
    beyond = medians[1] > _PLAYBOOK.gate.rollback.latency_p50_now * medians[0]
    return math.isfinite(_sure_after(beyond, "latency_p50_now"))


def _slow_of_late(random: np.random.Generator) -> float:
    """Return the hours until a candidate that becomes six times slower is rolled back."""
    medians = np.exp(0.1 * random.normal(size=(2, _GOOD + 240)))
    medians[1, _GOOD:] *= 6
    beyond = medians[1] > _PLAYBOOK.gate.rollback.latency_p50_now * medians[0]
    return (_sure_after(beyond, "latency_p50_now") - _GOOD) / 60


def _tenant_fails(random: np.random.Generator) -> float:
    """Return the hours until a candidate is rolled back that fails for half of the requests."""
    failed = random.binomial(_CALLS, 0.5, _GOOD + 240) / _CALLS
    failed[:_GOOD] = 0
    beyond = failed > _PLAYBOOK.gate.rollback.failure_rate_minutes
    return (_sure_after(beyond, "failure_rate_minutes") - _GOOD) / 60


_GOOD: Final = 3 * 1_440
"""Minutes without a break."""

SCENARIOS: Final = (
    *(
        Scenario(
            name,
            "B6",
            Kind.FALSE_ROLLBACK,
            _PLAYBOOK.error_rate / 10,
            partial(one_by_one, one),
            400,
        )
        for name, one in (
            ("slow first calls of fresh processes", _fresh),
            ("stalls of 50", _stalls),
            ("stalls of up to ten minutes", _long_stalls),
        )
    ),
    *(
        Scenario(f"{name} after 3 good days", "D2", Kind.DELAY, 1.0, partial(one_by_one, one), 100)
        for name, one in (
            ("6x slower", _slow_of_late),
            ("a tenant with half of the traffic fails", _tenant_fails),
        )
    ),
)
