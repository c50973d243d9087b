"""Simulated requests of units: lasting traits, heavy-tailed volumes, tenants, and the price."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from comparison.counts.units.alarms import UnitVolume
from comparison.engines.grouping import HOUR
from comparison.evidence.alarms import alarms_by
from flags.gate.checks.alarms import alarm_checks
from flags.gate.checks.health import health_checks
from flags.gate.error_rate import error_share
from flags.gate.evidence import Count, Paired, Period, UnitAlarms, UnitHealth, UnitShare
from flags.gate.sequences import RatioSequence, ShareSequence
from flags.gate.verdict import Outcome
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Array, Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, SINCE, evidence, output

_PLAYBOOK: Final = Playbook(flag=FLAG)
_STEP: Final = _PLAYBOOK.steps_at(10)[0]
_DAYS: Final = 14
_LOOKS: Final = (0, 1, 2, 4, 6, 9, 13)
"""Days with a look of the gate at their end."""
_SIDES: Final = ["primary_alarm", "candidate_alarm"]
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Units:
    """The population of units, and the alarms of their requests.

    Every unit has a lasting trait: alarmed by both sides, by one, or by none. Each request of an
    alarmed unit raises the alarm with the unit's own probability.
    """

    number: int
    a_day: float
    ratio: float = 1.0
    risky: float = 0.1
    alarms: float = 0.2
    overlap: float = 0.8
    shape: float = 1.0
    """Shape of the gamma distribution of the units' volumes; smaller: a heavier tail."""

    def days(self, random: np.random.Generator) -> Iterator[tuple[int, int, pd.DataFrame]]:
        """Yield (units seen, requests, alarmed rows) for each day, cumulative."""
        rate = random.gamma(self.shape, self.a_day / self.shape, self.number)
        both = self.overlap * self.risky * min(1.0, self.ratio)
        shares = [both, self.risky - both, self.ratio * self.risky - both]
        kind = random.choice(4, self.number, p=[*shares, 1 - sum(shares)])
        seen, requests, rows = np.zeros(self.number, dtype=bool), 0, []
        for day in range(_DAYS):
            sent = random.poisson(rate)
            seen |= sent > 0
            requests += int(sent.sum())
            fired = random.binomial(sent, np.where(kind < 3, self.alarms, 0.0))
            who = np.repeat(np.arange(self.number), fired)
            rows.append(
                pd.DataFrame(
                    {
                        "who": who,
                        "hour": 24 * day + random.integers(0, 24, len(who)),
                        "primary_alarm": kind[who] != 2,
                        "candidate_alarm": kind[who] != 1,
                    }
                )
            )
            yield int(seen.sum()), requests, pd.concat(rows, ignore_index=True)


def counted(units: int, requests: int, rows: pd.DataFrame, day: int) -> tuple[Paired, UnitAlarms]:
    """Count alarmed rows by request and by unit, as `comparison.counts.units.alarms` does."""
    block = UnitVolume(units, requests, (day + 1) * 24 * HOUR).block
    size = (day + 1) * 24 if block is None else block // HOUR
    blocks = _once(rows.assign(block=rows["hour"] // size), "who", "block")
    hours = _once(rows, "who", "hour")
    once = _table(_once(rows, "who"))
    by_unit = UnitAlarms(
        units=units,
        requests=requests,
        block_seconds=None if block is None else block / 1e9,
        alarms=_table(blocks),
        once=once,
        segments=(),
        design_effect=1.0 if block is None else _effect(blocks),
        periods=_periods(hours),
        hourly_design_effect=_effect(hours),
    )
    return _table(rows, requests), by_unit


def _once(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
    return rows.groupby(list(by), as_index=False)[_SIDES].max()


def _table(rows: pd.DataFrame, total: int = 0) -> Paired:
    primary, candidate = (rows[side].to_numpy(dtype=bool) for side in _SIDES)
    both, first, second = (
        int(each.sum())
        for each in (primary & candidate, primary & ~candidate, candidate & ~primary)
    )
    return Paired(both, first, second, max(0, total - both - first - second))


def _effect(blocks: pd.DataFrame) -> float:
    flips = blocks["candidate_alarm"].astype(int) - blocks["primary_alarm"].astype(int)
    own = float((flips**2).sum())
    return float((flips.groupby(blocks["who"]).sum() ** 2).sum()) / own if own else 1.0


def _periods(rows: pd.DataFrame) -> tuple[Period, ...]:
    held = rows.assign(n=1)
    return tuple(
        Period(SINCE + timedelta(hours=int(hour)), table) for hour, table in alarms_by(held, "hour")
    )


def _ever(random: np.random.Generator, *, units: Units, wrong: Outcome) -> bool:
    """Say whether the verdict at the end of any day is the `wrong` one."""
    for day, (seen, requests, rows) in enumerate(units.days(random)):
        if day not in _LOOKS:
            continue
        by_request, by_unit = counted(seen, requests, rows, day)
        shown = output(by_request, periods=_periods(rows), by_unit=by_unit)
        found = evidence(shown, rollout=10, held=timedelta(days=day + 1))
        checks = list(alarm_checks(found, _PLAYBOOK, _STEP))
        if wrong is Outcome.PASS and all(
            each.outcome is Outcome.PASS for each in checks if each.required
        ):
            return True
        if wrong is Outcome.FAIL and any(each.outcome is Outcome.FAIL for each in checks):
            return True
    return False


def _failures(random: np.random.Generator, *, size: int, rate: float) -> bool:
    """Say whether failures of whole bursts roll back although both sides fail equally often."""
    failed = np.zeros(4, dtype=np.int64)
    for day in range(_DAYS):
        failed += random.multinomial(2_000, [rate / 4, rate, rate, 1 - 2.25 * rate])
        both, primary, candidate, neither = (int(each) for each in failed)
        shares = tuple(
            UnitShare(value, n)
            for value, n in ((-1.0, primary), (0.0, both + neither), (1.0, candidate))
        )
        units = UnitHealth(2_000 * (day + 1), shares, (UnitShare(0.0, 200 * (day + 1)),))
        requests = Paired(*(size * each for each in (both, primary, candidate, neither)))
        found = evidence(
            output(),
            rollout=10,
            held=timedelta(days=day + 1),
            health={"failures": requests, "by_unit": units},
        )
        checks = health_checks(found, _PLAYBOOK, _STEP)
        if any(each.name == "failure_rate" and each.outcome is Outcome.FAIL for each in checks):
            return True
    return False


def _drawn(random: np.random.Generator, *, shape: float) -> bool:
    """Say whether the traffic split (SRM) of a flag sticky on users fails at any look."""
    users, rollout = 5_000, 0.1
    rate = random.gamma(shape, 3 / shape, users)
    candidate = random.random(users) < rollout
    seen = np.zeros(users, dtype=bool)
    for _ in range(_DAYS):
        seen |= random.poisson(rate) > 0
        drawn = Count(int((seen & candidate).sum()), int(seen.sum()))
        if ShareSequence(drawn).p_value(rollout) < _PLAYBOOK.gate.advance.sample_ratio_p:
            return True
    return False


def _price(random: np.random.Generator, *, size: int, ratio: float) -> tuple[float, float]:
    """Return the requests until the right verdict, with units and with requests alone.

    A unit sends `size` independent requests, so that a gate by requests alone, with its earlier
    share of the error rate (40 %), is valid too. The right verdict is that the ratio is within the
    limit to advance, or beyond the limit to roll back.
    """
    rate, overlap = 0.005, 0.8
    a_look = (200 if ratio > 1 else 2_000) // size
    both = overlap * rate * min(1.0, ratio)
    cells = [both, rate - both, ratio * rate - both]
    limits = _PLAYBOOK.gate
    old_share = 0.4 * _PLAYBOOK.error_rate
    new_share = error_share(_PLAYBOOK.error_rate, "alarm_ratio")
    requests, units = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    new = old = _NEVER
    for look in range(1, 1_000):
        drawn = random.multinomial(a_look, [*cells, 1 - sum(cells)], size=size)[:, :3]
        requests += drawn.sum(axis=0)
        units += _at_least_once(random, size, a_look, drawn)
        tables = [RatioSequence(Paired(*map(int, held), 0)) for held in (requests, units)]
        n = float(look * a_look * size)
        if ratio > 1:
            limit = limits.rollback.alarm_ratio
            old = min(old, n if tables[0].above(limit, old_share / 2) else _NEVER)
            new = min(new, n if tables[1].above(limit, new_share / 2) else _NEVER)
        else:
            shown = [_is_within(each, limits.advance.alarm_ratio) for each in tables]
            old = min(old, n if shown[0] else _NEVER)
            new = min(new, n if all(shown) else _NEVER)
        if max(old, new) < _NEVER:
            break
    return new, old


def _at_least_once(random: np.random.Generator, size: int, units: int, drawn: Array) -> Array:
    """Assign each alarm to a unit, and count the units by the alarms that they had at all."""
    if size == 1:
        return np.asarray(drawn[0])
    who = random.integers(0, units, int(drawn.sum()))
    kind = np.repeat([0, 1, 2], drawn.sum(axis=0))
    primary, candidate = np.zeros(units, dtype=bool), np.zeros(units, dtype=bool)
    primary[who[kind != 2]] = True
    candidate[who[kind != 1]] = True
    return np.array(
        [(primary & candidate).sum(), (primary & ~candidate).sum(), (candidate & ~primary).sum()]
    )


def _is_within(sequence: RatioSequence, limit: float) -> bool:
    alpha = _PLAYBOOK.error_rate / 2
    return sequence.below(limit, alpha) and sequence.above(1 / limit, alpha)


def _rollback(row: str, name: str, units: Units) -> Scenario:
    one = partial(_ever, units=units, wrong=Outcome.FAIL)
    return Scenario(name, row, Kind.FALSE_ROLLBACK, 0.05, partial(one_by_one, one), 200)


def _advance(row: str, name: str, units: Units) -> Scenario:
    one = partial(_ever, units=units, wrong=Outcome.PASS)
    return Scenario(name, row, Kind.FALSE_ADVANCE, 0.01, partial(one_by_one, one), 400)


def _priced(name: str, *, size: int, ratio: float) -> Scenario:
    one = partial(_price, size=size, ratio=ratio)
    goal = 1.3 if size == 1 else None
    return Scenario(name, "B1", Kind.PRICE, goal, partial(one_by_one, one), 200)


_FAILING: Final = partial(one_by_one, partial(_failures, size=20, rate=0.02))

SCENARIOS: Final = (
    _rollback("B1", "flips that last, 21 requests a unit and day", Units(3_000, 21.0)),
    _rollback("B2", "flips that last, heavy tails", Units(3_000, 21.0, shape=0.2)),
    _rollback("B1", "12 tenants, ratio 1.0", Units(12, 5_000.0, risky=0.5, alarms=0.01)),
    _advance("B1", "flips that last, ratio 1.30", Units(3_000, 21.0, ratio=1.3)),
    _advance("B1", "12 tenants, ratio 1.30", Units(12, 5_000.0, 1.3, risky=0.5, alarms=0.01)),
    Scenario("failures of whole bursts of 20", "B1", Kind.FALSE_ROLLBACK, 0.05, _FAILING, 400),
    Scenario(
        "sticky on users, heavy tails",
        "B9",
        Kind.FALSE_ROLLBACK,
        0.001,
        partial(one_by_one, partial(_drawn, shape=0.2)),
        400,
    ),
    _priced("2x, single requests", size=1, ratio=2.0),
    _priced("2x, 5 requests a unit", size=5, ratio=2.0),
    _priced("2x, 21 requests a unit", size=21, ratio=2.0),
    _priced("equal, single requests", size=1, ratio=1.0),
    _priced("equal, 5 requests a unit", size=5, ratio=1.0),
)
