"""The scenarios of units: bursts, agreement, and pairs that are not compared."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from comparison.counts.units.flip_clusters import design_effect
from flags.gate import Decision, decide
from flags.gate.blocks import total
from flags.gate.checks.alarms import alarm_checks
from flags.gate.checks.integrity import integrity_checks
from flags.gate.evidence import Count, Output, Paired, Period, SegmentAlarms, Tail, UnitAlarms
from flags.gate.verdict import Outcome
from flags.playbook.model import Playbook
from load_tests.gate_simulations.scenario import Array, Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, SINCE, evidence, output

_ALARMS: Final = 0.005
_OVERLAP: Final = 0.8
_LOOKS: Final = 12
_UNITS_A_LOOK: Final = 5_000
_MINUTES: Final = 24 * 60
"""Minutes between two looks: a day."""

_NOMINAL_ROLLBACK: Final = 0.05
_NOMINAL_ADVANCE: Final = 0.01


def _decisions(found: Output, rollout: float, playbook: Playbook) -> Decision:
    step = playbook.steps_at(rollout)[0]
    return decide(evidence(found, rollout=rollout), playbook, step).decision


def _shares(ratio: float, rate: float = _ALARMS, overlap: float = _OVERLAP) -> list[float]:
    """Return the probabilities of both, primary only, candidate only, neither."""
    both = overlap * rate
    return [both, rate - both, ratio * rate - both, 1 - rate - ratio * rate + both]


def _bursts(
    random: np.random.Generator,
    *,
    sizes: Sequence[int],
    weights: Sequence[float],
    ratio: float,
    wrong: Outcome,
    error_rate: float = 0.05,
) -> bool:
    """Look daily at a growing number of units, each of which sends a burst of equal requests."""
    playbook = Playbook(flag=FLAG, error_rate=error_rate)
    requests: list[Period] = []
    units: list[Period] = []
    for day in range(_LOOKS):
        drawn = [
            random.multinomial(int(_UNITS_A_LOOK * weight), _shares(ratio)) for weight in weights
        ]
        burst = sum(size * each for size, each in zip(sizes, drawn, strict=True))
        begun = SINCE + timedelta(days=day)
        requests.append(Period(begun, Paired(*map(int, burst))))
        units.append(Period(begun, Paired(*map(int, sum(drawn)))))
        if _judged(requests, units, playbook) is wrong:
            return True
    return False


def _unnamed(random: np.random.Generator, *, size: int) -> bool:
    """Look daily at bursts of equal requests, two seconds apart, without units."""
    playbook = Playbook(flag=FLAG)
    requests: list[Period] = []
    flips = np.zeros((_LOOKS, _MINUTES), dtype=int)
    for day in range(_LOOKS):
        burst = [int(each) for each in size * random.multinomial(_UNITS_A_LOOK, _shares(1.0))]
        requests.append(Period(SINCE + timedelta(days=day), Paired(*burst)))
        for _ in range((burst[1] + burst[2]) // size):
            at = random.integers(60 * _MINUTES - 2 * size) + 2 * np.arange(size)
            np.add.at(flips[day], at // 60, 1)
        seen = flips[: day + 1].ravel()
        n = np.full(seen.size, size * _UNITS_A_LOOK // _MINUTES)
        effect = design_effect(
            pd.DataFrame({"minute": np.arange(seen.size), "flips": seen, "n": n})
        )
        counts = total(each.alarms for each in requests)
        named = UnitAlarms(
            0, 0, None, counts, counts, (), effect, tuple(requests), hourly_design_effect=effect
        )
        shown = output(counts, periods=tuple(requests), by_unit=named)
        found = evidence(shown, rollout=10, held=timedelta(days=len(requests)))
        checks = alarm_checks(found, playbook, playbook.steps_at(10)[0])
        if any(each.outcome is Outcome.FAIL for each in checks):
            return True
    return False


def _judged(requests: list[Period], units: list[Period], playbook: Playbook) -> Outcome:
    """Return FAIL if any check of alarms rolls back, else the outcome of the overall ratio."""
    by_request, by_unit = (total(each.alarms for each in held) for held in (requests, units))
    named = UnitAlarms(
        by_unit.pairs, by_request.pairs, None, by_unit, by_unit, (), 1.0, tuple(units)
    )
    shown = output(by_request, periods=tuple(requests), by_unit=named)
    found = evidence(shown, rollout=10, held=timedelta(days=len(requests)))
    checks = list(alarm_checks(found, playbook, playbook.steps_at(10)[0]))
    if any(each.outcome is Outcome.FAIL for each in checks):
        return Outcome.FAIL
    return checks[0].outcome


def _burst_scenario(
    row: str, name: str, sizes: Sequence[int], weights: Sequence[float], **more: Any
) -> Scenario:
    one = partial(_bursts, sizes=sizes, weights=weights, ratio=1.0, wrong=Outcome.FAIL, **more)
    nominal = more.get("error_rate", _NOMINAL_ROLLBACK)
    return Scenario(name, row, Kind.FALSE_ROLLBACK, nominal, partial(one_by_one, one), 400)


def _replaced(random: np.random.Generator, *, of: str) -> bool:
    """Say whether a candidate advances whose alarms are on other requests than the primary's."""
    playbook, n = Playbook(flag=FLAG), 600_000
    shares = _shares(1.0, overlap=0.0 if of == "reverse" else _ALARMS)
    table = Paired(*map(int, random.multinomial(n, shares)))
    same = Paired(*map(int, random.multinomial(n, _shares(1.0, overlap=0.95))))
    if of == "segment":
        drawn = Paired(*map(int, random.multinomial(50_000, _shares(1.0, overlap=0.02))))
        found = output(same, [SegmentAlarms("channel", "app", drawn)])
    else:
        found = output(table)
    return _decisions(found, 0, playbook) is Decision.ADVANCE


def _declines(random: np.random.Generator) -> bool:
    """Say whether a candidate advances that approves 90 % where the primary approves 95 %."""
    table = Paired(*map(int, random.multinomial(200_000, [0.9, 0.05, 0.0, 0.05])))
    return _decisions(output(table), 0, Playbook(flag=FLAG)) is Decision.ADVANCE


def _timeouts(random: np.random.Generator) -> bool:
    """Say whether a candidate advances that does not answer requests with 30 % of the alarms."""
    n = 1_000_000
    alarms = int(random.binomial(n, _ALARMS))
    lost = int(random.binomial(alarms, 0.3))
    table = Paired(alarms - lost, 0, 0, n - alarms)
    least = Paired(alarms - lost, lost, 0, n - alarms)
    most = Paired(alarms, 0, 0, n - alarms)
    found = output(table, lowest_alarms=least, highest_alarms=most, uncompared=Count(lost, n))
    return _decisions(found, 0, Playbook(flag=FLAG)) is Decision.ADVANCE


def _without_threshold(random: np.random.Generator) -> bool:
    """Say whether the gate advances if 90 % of the pairs have no threshold."""
    table = Paired(*map(int, random.multinomial(60_000, _shares(1.0, overlap=0.95))))
    found = output(table, uncompared=Count(9 * table.pairs, 10 * table.pairs))
    return _decisions(found, 0, Playbook(flag=FLAG)) is Decision.ADVANCE


def _permuted(random: np.random.Generator) -> bool:
    """Say whether outputs without a threshold advance if they are those of other requests."""
    n = 400_000
    tails = tuple(
        Tail(each, each, Paired(*map(int, random.multinomial(n, _shares(1.0, 0.1, 0.1)))))
        for each in (0.1, 0.9)
    )
    return _decisions(output(None, tails=tails), 0, Playbook(flag=FLAG)) is Decision.ADVANCE


def _advance(row: str, name: str, one: Any) -> Scenario:
    simulate = partial(one_by_one, one)
    return Scenario(name, row, Kind.FALSE_ADVANCE, _NOMINAL_ADVANCE, simulate, 400)


def _drawn(random: np.random.Generator, runs: int) -> Array:
    """Say in which runs the traffic split (SRM) fails for a flag sticky on users, at 10 %."""
    playbook = Playbook(flag=FLAG)
    step = playbook.steps_at(10)[0]
    wrong = []
    for _ in range(runs):
        users = candidate = 0
        failed = False
        for _look in range(_LOOKS):
            users += 2_000
            candidate += int(random.binomial(2_000, 0.1))
            found = evidence(
                output(), rollout=10, integrity={"candidate_units": Count(candidate, users)}
            )
            checks = integrity_checks(found, playbook, step)
            [check] = [each for each in checks if each.name == "sample_ratio_p"]
            failed |= check.outcome == "fail"
        wrong.append(failed)
    return np.array(wrong, dtype=float)


SCENARIOS: Final = (
    *(_burst_scenario("B1", f"bursts of {size}", (size,), (1.0,)) for size in (5, 10, 20, 50)),
    _burst_scenario("B2", "90 % single, 1 % bursts of 100", (1, 5, 100), (0.9, 0.09, 0.01)),
    _burst_scenario("B3", "bursts of 20, error rate 1e-6", (20,), (1.0,), error_rate=1e-6),
    Scenario(
        "bursts of 20, no unit is named",
        "B1",
        Kind.FALSE_ROLLBACK,
        _NOMINAL_ROLLBACK,
        partial(one_by_one, partial(_unnamed, size=20)),
        200,
    ),
    Scenario("sticky on users, 10 %", "B9", Kind.FALSE_ROLLBACK, 0.001, _drawn, 400),
    _advance(
        "B1",
        "bursts of 20, ratio 1.30",
        partial(_bursts, sizes=(20,), weights=(1.0,), ratio=1.3, wrong=Outcome.PASS),
    ),
    _advance("A1", "no alarm in common", partial(_replaced, of="reverse")),
    _advance("A1", "permuted, no threshold", _permuted),
    _advance("A2", "random scorer", partial(_replaced, of="random")),
    _advance("A3", "a segment's alarms replaced", partial(_replaced, of="segment")),
    _advance("A4", "declines doubled", _declines),
    _advance("A10", "timeouts carry 30 % of the alarms", _timeouts),
    _advance("A12", "90 % without a threshold", _without_threshold),
)
