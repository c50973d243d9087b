"""Readings of operational alarms compared with the limits of the playbook. It is pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from flags.gate.evidence import AlarmPeriod, AlarmState, OperationalAlarmHistory
from flags.playbook import operational as plan
from flags.playbook.model import Playbook

_PERIODS: Final = 500
"""Periods of one alarm that are kept, the newest."""


@dataclass(frozen=True, slots=True)
class SeriesValue:
    """Hold the value of one series, with its labels or another name for it."""

    value: float
    series: str


@dataclass(frozen=True, slots=True)
class AlarmReading:
    """Hold what the source of an operational alarm answered at one look."""

    alarm: str
    source: str
    at: datetime
    lowest: SeriesValue | None = None
    highest: SeriesValue | None = None
    """Of all series of the answer; None where it is empty."""
    answer: Literal["pass", "hold", "rollback"] | None = None
    """Of a webhook."""
    said: str = ""
    """Of a webhook: its reason."""
    problem: str | None = None
    """Why it is not known, or not all of it."""


def operational_alarms(
    playbook: Playbook, readings: Iterable[AlarmReading], since: datetime, until: datetime
) -> tuple[OperationalAlarmHistory, ...]:
    """Return what the looks in [since, until] found of each alarm of a playbook.

    Readings of an alarm that asked something else then are left out.
    """
    within = sorted(
        (each for each in readings if since <= each.at <= until), key=lambda each: each.at
    )
    return tuple(
        OperationalAlarmHistory(
            name,
            alarm.source,
            _periods(
                [
                    alarm_state(each, alarm)
                    for each in within
                    if (each.alarm, each.source) == (name, alarm.source)
                ]
            ),
        )
        for name, alarm in playbook.alarms.items()
    )


def alarm_state(reading: AlarmReading, alarm: plan.OperationalAlarmRule) -> AlarmPeriod:
    """Return the state that a reading stands for, as a period of one look."""
    if reading.answer is not None:
        said = f": {reading.said}" if reading.said else ""
        words = f"answers {reading.answer}{said}"
        return _look(reading, AlarmState(reading.answer), words)
    for state, limits, name in (
        (AlarmState.ROLLBACK, alarm.rollback, "rollback limit"),
        (AlarmState.HOLD, alarm.hold_limits, "hold limit"),
    ):
        if (worst := _beyond(reading, limits)) is not None:
            words = f"{_value(worst)}, {name} {limits}"
            return _look(reading, state, words, worst.value, _bound(limits, worst.value))
    if reading.problem is not None:
        return _look(reading, AlarmState.UNKNOWN, reading.problem)
    if reading.highest is None or reading.lowest is None:
        words = f"the query yields nothing (empty: {alarm.empty})"
        return _look(reading, AlarmState(alarm.empty), words)
    limits = alarm.hold_limits if alarm.hold_limits.given else alarm.rollback
    nearest = reading.lowest if limits.above is None else reading.highest
    words = f"{_value(nearest)}, limit {limits}"
    return _look(reading, AlarmState.PASS, words, nearest.value, _bound(limits, nearest.value))


def _look(
    reading: AlarmReading,
    state: AlarmState,
    reason: str,
    figure: float | None = None,
    limit: float | None = None,
) -> AlarmPeriod:
    return AlarmPeriod(state, reading.at, reading.at, 1, figure, limit, reason)


def _beyond(reading: AlarmReading, limits: plan.ValueLimits) -> SeriesValue | None:
    """Return the value that is beyond a limit."""
    extremes = (reading.highest, reading.lowest)
    return next((each for each in extremes if each and limits.reached(each.value)), None)


def _bound(limits: plan.ValueLimits, value: float) -> float | None:
    """Return the limit that a value is beyond, or the only one."""
    if limits.below is not None and (limits.above is None or value < limits.below):
        return limits.below
    return limits.above


def _value(value: SeriesValue) -> str:
    number = f"{value.value:.4g}" if abs(value.value) < 1e308 else "infinity"
    return f"{number} {value.series}".rstrip()


def _periods(looks: Sequence[AlarmPeriod]) -> tuple[AlarmPeriod, ...]:
    """Join neighbours of the same state."""
    found: list[AlarmPeriod] = []
    for look in looks:
        if found and found[-1].state is look.state:
            before = found.pop()
            look = replace(look, since=before.since, looks=before.looks + 1)
        found.append(look)
    return tuple(found[-_PERIODS:])
