"""Operational alarms: readings compared with the limits of the playbook. No I/O, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from flags.gate.evidence import AlarmPeriod, AlarmState, OperationalAlarmHistory
from flags.playbook import operational as plan
from flags.playbook.model import Playbook

_PERIODS: Final = 500
"""The newest periods of an alarm that are kept."""


@dataclass(frozen=True, slots=True)
class SeriesValue:
    """The value of one series, and the series' labels or name."""

    value: float
    series: str


@dataclass(frozen=True, slots=True)
class AlarmReading:
    """The answer of an operational alarm's source at one look."""

    alarm: str
    source: str
    at: datetime
    lowest: SeriesValue | None = None
    highest: SeriesValue | None = None
    """The largest value of all series; None if the answer has no series."""
    answer: Literal["pass", "hold", "rollback"] | None = None
    """The answer of a webhook."""
    reason: str = ""
    """The reason that a webhook gave."""
    problem: str | None = None
    """Why the value is unknown, or known in part only."""


def operational_alarms(
    playbook: Playbook, readings: Iterable[AlarmReading], since: datetime, until: datetime
) -> tuple[OperationalAlarmHistory, ...]:
    """Return the history of each alarm of a playbook, from the looks in [since, until].

    Readings from another source are left out: the alarm's query has changed since.
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
    """Return the state that follows from a reading, as a period of one look."""
    if reading.answer is not None:
        reason = f": {reading.reason}" if reading.reason else ""
        words = f"answers {reading.answer}{reason}"
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
    """Return the value that is beyond a limit, the highest first; None if neither is."""
    extremes = (reading.highest, reading.lowest)
    return next((each for each in extremes if each and limits.reached(each.value)), None)


def _bound(limits: plan.ValueLimits, value: float) -> float | None:
    """Return the limit that a value is beyond; else the upper one, if there is one."""
    if limits.below is not None and (limits.above is None or value < limits.below):
        return limits.below
    return limits.above


def _value(value: SeriesValue) -> str:
    number = f"{value.value:.4g}" if abs(value.value) < 1e308 else "infinity"
    return f"{number} {value.series}".rstrip()


def _periods(looks: Sequence[AlarmPeriod]) -> tuple[AlarmPeriod, ...]:
    """Join consecutive looks of the same state."""
    found: list[AlarmPeriod] = []
    for look in looks:
        if found and found[-1].state is look.state:
            before = found.pop()
            look = replace(look, since=before.since, looks=before.looks + 1)
        found.append(look)
    return tuple(found[-_PERIODS:])
