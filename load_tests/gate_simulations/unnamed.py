"""Classes of pairs without units: bursts of equal requests, and a uniformly worse candidate."""

import math
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from comparison.counts.units.flip_clusters import design_effect
from flags.gate.checks import category
from flags.gate.evidence import Count, UnitShare
from flags.gate.verdict import Outcome
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Array, Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, evidence

_LOOKS: Final = 10
"""Number of looks, a day apart."""
_DAY: Final = 24 * 60 * 60
_STEP: Final = 50
_LEVELS: Final = 64


def _shares(values: Array) -> tuple[UnitShare, ...]:
    rounded, counts = np.unique(np.rint(values * _LEVELS) / _LEVELS, return_counts=True)
    found = zip(rounded.tolist(), counts.tolist(), strict=True)
    return tuple(UnitShare(value, count) for value, count in found)


def _classes(values: Array, minutes: Array, answered: Array) -> category.CategoryEvidence:
    """Return classes; only one side is right if a value is 1 or -1."""
    number, place, n = np.unique(minutes, return_inverse=True, return_counts=True)
    clusters = (
        design_effect(
            pd.DataFrame({"minute": number, "flips": np.bincount(place, side * values > 0), "n": n})
        )
        for side in (1, -1)
    )

    def ways(chosen: Array) -> dict[str, tuple[UnitShare, ...]]:
        return dict.fromkeys(("request", "block"), _shares(values[chosen]))

    by_minute = {"minute": _shares(np.bincount(place, values) / n)}
    return category.CategoryEvidence(
        kind="category",
        name="answer",
        paired=len(values),
        labelled=len(values),
        units=0,
        unreadable=0,
        agreement=Count(int((values == 0).sum()), len(values)),
        classes=(),
        changes=(),
        primary=None,
        candidate=None,
        levels={
            "right": ways(np.full(len(values), fill_value=True)) | by_minute,
            "right_primary": ways(~answered),
            "right_candidate": ways(answered),
        },
        clusters={"right": max(clusters)},
        coverage={},
        coverage_p=None,
        never_predicted=Count(0, len(values)),
        never_predicted_names=(),
    )


def _hours(
    random: np.random.Generator, *, bursts: int, size: int, alone: tuple[float, float]
) -> float:
    """Return the hours until the candidate is rolled back; infinite if it never is.

    `alone` has the shares of bursts in which only the primary, and only the candidate, is right.
    Requests of a burst are a second apart.
    """
    playbook = Playbook(flag=FLAG)
    step = playbook.steps_at(_STEP)[0]
    values, minutes = np.zeros(0), np.zeros(0, dtype=int)
    for day in range(_LOOKS):
        begun = day * _DAY + random.integers(_DAY - size, size=random.poisson(bursts))
        probabilities = [alone[0], 1 - sum(alone), alone[1]]
        drawn = random.choice([-1.0, 0.0, 1.0], len(begun), p=probabilities)
        values = np.concatenate([values, np.repeat(drawn, size)])
        minutes = np.concatenate([minutes, (begun[:, None] + np.arange(size)).ravel() // 60])
        answered = random.random(len(values)) < _STEP / 100
        made = _classes(values, minutes, answered)
        held = timedelta(days=day + 1)
        found = replace(evidence(rollout=_STEP, held=held), answers=(made,))
        checks = category.checks(made, found, playbook, step)
        if any(each.outcome is Outcome.FAIL and each.rolls_back for each in checks):
            return 24.0 * (day + 1)
    return math.inf


def _rolled_back(random: np.random.Generator, **more: Any) -> bool:
    return math.isfinite(_hours(random, **more))


def _kept(bursts: int) -> Scenario:
    one = partial(_rolled_back, bursts=bursts, size=50, alone=(0.05, 0.05))
    name = f"category: {bursts} bursts of 50 a day, no unit is named, no difference"
    return Scenario(name, "D8", Kind.FALSE_ROLLBACK, 0.05, partial(one_by_one, one), 200)


_WORSE: Final = partial(_hours, bursts=1_000, size=1, alone=(0.18, 0.05))

SCENARIOS: Final = (
    _kept(10),
    _kept(100),
    Scenario(
        "category: evenly worse by 13 points, no unit is named, 1,000 labels a day",
        "D8",
        Kind.DELAY,
        72.0,
        partial(one_by_one, _WORSE),
        100,
    ),
)
