"""Scores of pairs that name no unit: errors with bursts of alike requests, delays without."""

import math
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from comparison.counts.tables import UnitAggregates
from comparison.counts.units.alarms import without_bursts
from comparison.engines.grouping import HOUR_CELLS, SEGMENT_CELLS, empty
from comparison.evidence.units import unit_alarms
from flags.gate.blocks import total
from flags.gate.checks.alarms import alarm_checks
from flags.gate.evidence import Paired, Period
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Array, Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, SINCE, evidence, output

_PLAYBOOK: Final = Playbook(flag=FLAG)
_STEP: Final = _PLAYBOOK.steps_at(10)[0]
_DAY: Final = 24 * 60
"""Minutes."""
_FIRST_MINUTE: Final = int(SINCE.timestamp()) // 60
_CELLS: Final = ["both", "primary_only", "candidate_only", "neither"]
_OVERLAP: Final = 0.8
"""Share of the primary's alarms that the candidate raises as well."""
_INTERVAL: Final = 2 / 60
"""Minutes between the requests of a burst."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Traffic: `bursts` an hour of `size` alike requests, and `alone` single requests a minute."""

    bursts: float = 0.0
    size: int = 1
    alone: float = 0.0
    rate: float = 0.005
    """Share of the single requests and of the bursts that are alarms of the primary."""
    ratio: float = 1.0
    """Alarm ratio, candidate to primary."""
    days: int = 10
    night: bool = False
    """Whether traffic falls to a tenth for twelve hours of each day."""
    drift: float = 0.0
    """Amplitude by which the rate changes within each hour, relative to the rate."""
    since: int = 0
    """Day at which the ratio begins; before it, it is 1."""

    def minutes(self, random: np.random.Generator) -> Array:
        """Draw the number of pairs in each minute (rows) and cell (columns, as `_CELLS`)."""
        minute = np.arange(self.days * _DAY)
        busy = np.where((minute % _DAY < _DAY / 2) | (not self.night), 1.0, 0.1)
        shares = self._shares(minute)
        cells = random.multinomial(random.poisson(self.alone * busy), shares)
        starts = np.repeat(minute, random.poisson(self.bursts / 60 * busy))
        for start in starts:
            cell = random.choice(4, p=shares[start])
            after = (random.random() + _INTERVAL * np.arange(self.size)).astype(int)
            np.add.at(cells, (np.minimum(start + after, len(cells) - 1), cell), 1)
        return cells

    def _shares(self, minute: Array) -> Array:
        """Return the probability of each cell in each minute."""
        rate = self.rate * (1 + self.drift * np.sin(2 * np.pi * minute / 60))
        ratio = np.where(minute < self.since * _DAY, 1.0, self.ratio)
        both = _OVERLAP * rate
        alarms = np.stack([both, rate - both, ratio * rate - both], axis=1)
        return np.column_stack([alarms, 1 - alarms.sum(axis=1)])


def _checks(cells: Array) -> list[Check]:
    """Return the checks of the alarms after these minutes."""
    minutes = pd.DataFrame(cells, columns=_CELLS).assign(
        minute=_FIRST_MINUTE + np.arange(len(cells))
    )
    hours = minutes.groupby(np.arange(len(cells)) // 60)[_CELLS].sum()
    periods = tuple(
        Period(SINCE + timedelta(hours=hour), Paired(*map(int, row)))
        for hour, row in enumerate(hours.to_numpy())
    )
    by_hour = hours.rename_axis("hour").reset_index().melt("hour", _CELLS[:3], value_name="n")
    counts = by_hour.assign(
        period=pd.Timestamp(SINCE) + pd.to_timedelta(by_hour["hour"], unit="h").astype("m8[ns]"),
        primary_alarm=by_hour["variable"].ne("candidate_only").astype("boolean"),
        candidate_alarm=by_hour["variable"].ne("primary_only").astype("boolean"),
    ).astype(HOUR_CELLS)
    alarmed = counts[["primary_alarm", "candidate_alarm", "n"]]
    by_request = UnitAggregates(
        0, 0, None, alarmed, alarmed, empty(SEGMENT_CELLS), 1.0, counts, hourly_design_effect=1.0
    )
    counted = without_bursts(by_request, minutes.assign(n=cells.sum(axis=1)))
    alarms = total(each.alarms for each in periods)
    score = output(alarms, periods=periods, by_unit=unit_alarms(counted, alarms))
    found = evidence(score, rollout=10, held=timedelta(minutes=len(cells)))
    return list(alarm_checks(found, _PLAYBOOK, _STEP))


def _hours(random: np.random.Generator, *, traffic: Traffic) -> float:
    """Return the hours from the day `since` to the rollback; infinite if there is none."""
    cells, begun = traffic.minutes(random), traffic.since * _DAY
    for minutes in (20, 60, 180, 480, 960, *range(_DAY, traffic.days * _DAY - begun + 1, _DAY)):
        checks = _checks(cells[: begun + minutes])
        if any(each.outcome is Outcome.FAIL and each.rolls_back for each in checks):
            return minutes / 60
    return math.inf


def _rolled_back(random: np.random.Generator, *, traffic: Traffic) -> bool:
    return math.isfinite(_hours(random, traffic=traffic))


def _advanced(random: np.random.Generator, *, traffic: Traffic) -> bool:
    """Say whether the ratio passes at the end of any day, with as many pairs as a step needs."""
    cells = traffic.minutes(random)
    days = range(_DAY, len(cells) + 1, _DAY)
    looks = (cells[:end] for end in days if cells[:end].sum() >= _STEP.min_pairs)
    return any(_checks(each)[0].outcome is Outcome.PASS for each in looks)


def _name(traffic: Traffic) -> str:
    """Return the name of a scenario; its random numbers depend on it."""
    among = f" among {traffic.alone:g} a minute" if traffic.alone else ""
    name = f"no unit: {traffic.bursts:g} bursts of {traffic.size} an hour{among}"
    return name + (", day and night" if traffic.night else "")


def _false_rollback(traffic: Traffic) -> Scenario:
    one = partial(one_by_one, partial(_rolled_back, traffic=traffic))
    return Scenario(_name(traffic), "B1", Kind.FALSE_ROLLBACK, 0.05, one, 40)


def _false_advance(traffic: Traffic) -> Scenario:
    one = partial(one_by_one, partial(_advanced, traffic=traffic))
    return Scenario(f"{_name(traffic)}, 1.30x", "B1", Kind.FALSE_ADVANCE, 0.01, one, 40)


def _delay(name: str, nominal: float, traffic: Traffic) -> Scenario:
    one = partial(one_by_one, partial(_hours, traffic=traffic))
    return Scenario(f"no unit, no bursts: {name}", "B1", Kind.DELAY, nominal, one, 20)


_BURSTS_ALONE: Final = tuple(
    Traffic(bursts, size, rate=0.3 if bursts < 5 else 0.05)
    for bursts, size in ((0.2, 50), (0.2, 100), (1, 20), (1, 50), (5, 5), (5, 20), (5, 100))
)
_BURSTS_AMONG_OTHERS: Final = (
    Traffic(0.2, 50, alone=2, rate=0.05, night=True),
    Traffic(1, 100, alone=2, rate=0.05),
)
_WORSE: Final = (
    Traffic(0.5, 500, rate=0.05, ratio=1.3),  # bursts last for 17 minutes
    Traffic(5, 20, rate=0.05, ratio=1.3),
)

SCENARIOS: Final = (
    *map(_false_rollback, (*_BURSTS_ALONE, *_BURSTS_AMONG_OTHERS)),
    *map(_false_advance, _WORSE),
    _delay("2x of 20,000 a day", 192, Traffic(alone=14, ratio=2)),
    _delay("4x of a million a day", 3, Traffic(alone=700, ratio=4, days=2)),
    _delay(
        "2x of 10,000 a minute, which drift", 24, Traffic(alone=1e4, ratio=2, days=2, drift=0.3)
    ),
    _delay("2x of a million a day, after 2 days", 16, Traffic(alone=700, ratio=2, days=4, since=2)),
)
