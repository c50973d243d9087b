"""Simulations of one candidate over all steps: moved by hand, little traffic, and the price."""

import math
from datetime import timedelta
from functools import partial
from typing import Any, Final

import numpy as np

from flags.gate import Decision, decide
from flags.gate.blocks import total
from flags.gate.error_rate import error_share
from flags.gate.evidence import DURATION_EDGES, Count, Durations, Evidence, Gap, Paired, Period
from flags.gate.sequences import RatioSequence
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage
from load_tests.gate_simulations.scenario import Array, Kind, Scenario, one_by_one
from tests.support.evidence import FLAG, SINCE, evidence, output

_PLAYBOOK: Final = Playbook(flag=FLAG, labels="none")
_ALARMS, _OVERLAP = 0.005, 0.8
_NAMES: Final = ("latency_p50", "latency_p95", "latency_p99")

_OLD_SHARE: Final = 0.4 * _PLAYBOOK.error_rate / 2
"""The alarm ratio's share of the error rate in the earlier gate, which counted every request."""

_VISITS, _HOURS = 40, 12


def _cells(ratio: float, pairs: int, random: np.random.Generator) -> Paired:
    both = _OVERLAP * _ALARMS
    only = (_ALARMS - both, ratio * _ALARMS - both)
    drawn = random.multinomial(pairs, [both, *only, 1 - both - sum(only)])
    return Paired(*map(int, drawn))


def _by_hand(random: np.random.Generator) -> bool:
    """Move up and down every half day, with each figure at its rollback limit; say if rolled back.

    The pairs of earlier steps stay evidence; the blocks of latency are those of the current step.
    """
    limits = _PLAYBOOK.gate.rollback
    periods: list[Period] = []
    failures = fallbacks = served = 0
    for visit in range(1, _VISITS + 1):
        step = _PLAYBOOK.steps_at(10 if visit % 2 else 5)[0]
        for _hour in range(_HOURS):
            begun = SINCE + timedelta(hours=len(periods))
            periods.append(Period(begun, _cells(limits.alarm_ratio, 2_000, random)))
        alarms = total(each.alarms for each in periods)
        active = 2_000 * _HOURS * step.rollout // 100
        failures += int(random.binomial(2_000 * _HOURS, limits.failure_rate))
        served += active
        fallbacks += int(random.binomial(active, limits.fallback_rate))
        slow = tuple(random.choice([2.0, 9.0], 6 * _HOURS).tolist())
        found = _evidence(
            periods,
            alarms,
            step,
            window={"steps_taken": visit},
            health={
                "failures": Paired(0, 0, failures, alarms.pairs - failures),
                "fallbacks": Count(fallbacks, served),
                "block_ratios": dict.fromkeys(_NAMES, slow),
            },
        )
        if decide(found, _PLAYBOOK, step).decision is Decision.ROLLBACK:
            return True
    return False


def _evidence(periods: list[Period], alarms: Paired, step: Step, **changes: Any) -> Evidence:
    return evidence(
        output(alarms, periods=tuple(periods)),
        rollout=step.rollout,
        held=timedelta(hours=len(periods)),
        pairs=alarms.pairs,
        **changes,
    )


def _small(random: np.random.Generator) -> float:
    """Return hours until an exact copy, at 1,000 requests a day, may go beyond 100 %."""
    days, since, step = 0, 0, _PLAYBOOK.steps[0]
    periods: list[Period] = []
    counts = np.zeros((2, len(DURATION_EDGES) + 1), dtype=np.int64)
    fallbacks = 0
    while days < 100:
        days += 1
        both = random.binomial(42, _ALARMS, size=24).tolist()
        periods += [
            Period(SINCE + timedelta(hours=len(periods) + hour), Paired(n, 0, 0, 42 - n))
            for hour, n in enumerate(both)
        ]
        calls = 0.02 * np.exp(0.4 * random.normal(size=(2, 24 * 42)))
        for side in (0, 1):
            bins = np.searchsorted(DURATION_EDGES, calls[side], side="right")
            counts[side] += np.bincount(bins, minlength=counts.shape[1])
        alarms = total(each.alarms for each in periods)
        fallbacks += 24 * 42 * step.rollout // 100
        sides = [Durations(tuple(row.tolist())) for row in counts]
        found = _evidence(
            periods,
            alarms,
            step,
            health={
                "durations": dict(zip(("primary", "candidate"), sides, strict=True)),
                "failures": Paired(0, 0, 0, alarms.pairs),
                "fallbacks": Count(0, fallbacks),
            },
        )
        if (days - since) * 24 < step.hold.total_seconds() / 3600:
            continue
        if decide(found, _PLAYBOOK, step).decision is Decision.ADVANCE:
            following = _PLAYBOOK.after(step)
            if following is None or following.stage is Stage.DEPRECATION:
                return 24.0 * days
            step, since = following, days
    return math.inf


def _idle(random: np.random.Generator) -> bool:
    """Say whether a shadow advances that had traffic in only three hours of eight days."""
    held = timedelta(days=8)
    smoke = sorted(random.uniform(0, 8 * 24 - 3, size=int(random.integers(1, 4))).tolist())
    busy = [(at, at + 0.01) for at in smoke] + [(8 * 24 - 3.0, 8 * 24.0)]
    ends = [0.0, *(moment for each in busy for moment in each)]
    since = evidence().window.since
    gaps = tuple(
        Gap(since + timedelta(hours=begin), since + timedelta(hours=end))
        for begin, end in zip(ends[::2], ends[1::2], strict=False)
        if end - begin >= 1
    )
    found = evidence(held=held, window={"gaps": gaps})
    return decide(found, _PLAYBOOK, _PLAYBOOK.steps[0]).decision is Decision.ADVANCE


def _price(random: np.random.Generator) -> tuple[float, float]:
    """Return the pairs until a ratio of 2 is rolled back, with this gate and with the earlier one.

    The gate's wait for whole days is not included, because it costs time and not pairs.
    """
    now = error_share(_PLAYBOOK.error_rate, "alarm_ratio") / 2
    limit = _PLAYBOOK.gate.rollback.alarm_ratio
    table, pairs = Paired(0, 0, 0, 0), 0
    before: float | None = None
    while True:
        table, pairs = total([table, _cells(2.0, 200, random)]), pairs + 200
        shown = RatioSequence(table)
        if before is None and shown.above(limit, _OLD_SHARE):
            before = float(pairs)
        if before is not None and shown.above(limit, now):
            return float(pairs), before


def price(random: np.random.Generator, runs: int) -> Array:
    """Simulate the additional pairs for sharing the error rate among more checks."""
    return one_by_one(_price, random, runs)


def _scenario(row: str, name: str, kind: Kind, nominal: float, one: Any, runs: int) -> Scenario:
    return Scenario(name, row, kind, nominal, partial(one_by_one, one), runs)


_HOLDS: Final = sum(
    step.hold.total_seconds() / 3600
    for step in _PLAYBOOK.steps
    if step.stage is not Stage.DEPRECATION
)

SCENARIOS: Final = (
    _scenario(
        "B8",
        "moved by hand 40 times, at each limit",
        Kind.FALSE_ROLLBACK,
        _PLAYBOOK.error_rate,
        _by_hand,
        100,
    ),
    _scenario("A13", "three hours of traffic in eight days", Kind.FALSE_ADVANCE, 0.01, _idle, 400),
    _scenario(
        "D3",
        f"exact copy, 1,000 requests a day, holds are {_HOLDS:.0f} h",
        Kind.DELAY,
        2 * _HOLDS,
        _small,
        40,
    ),
    Scenario("2x, independent pairs", "D8", Kind.PRICE, 1.3, price, 400),
)
