"""Simulations of latency: fresh processes that warm up, and calls that stall together."""

from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from comparison.evidence.health import block_ratios
from flags.gate.checks.health import health_checks
from flags.gate.evidence import DURATION_EDGES, Durations
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
    """Draw the seconds of the calls of both sides, shape (2, blocks, calls), in order of time."""
    return np.asarray(0.02 * np.exp(0.4 * random.normal(size=(2, _BLOCKS, _CALLS))))


def _fails(calls: Array, counts: Array) -> bool:
    """Look each hour whether a quantile rolls back; `counts` says which calls are evidence."""
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
        health = {
            "durations": {name: _durations(seen, name) for name in _SIDES},
            "block_ratios": {
                f"latency_p{percent}": block_ratios(seen, percent / 100) for percent in (50, 95, 99)
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
    """Let 50 calls stall together now and then, on both sides with the same law."""
    calls = _calls(random)
    for side in (0, 1):
        flat = calls[side].reshape(-1)
        for begun in random.integers(flat.size, size=random.poisson(20)):
            flat[begun : begun + _STALL] += random.exponential(0.5)
    return _fails(calls, np.ones(calls.shape, dtype=bool))


SCENARIOS: Final = tuple(
    Scenario(
        name, "B6", Kind.FALSE_ROLLBACK, _PLAYBOOK.error_rate / 10, partial(one_by_one, one), 400
    )
    for name, one in (("slow first calls of fresh processes", _fresh), ("stalls of 50", _stalls))
)
