"""The operational alarms, prepared for the page: their states over the time of the window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from comparison.report.check_format import SIGNS
from comparison.report.html.charts.plot import Path
from comparison.report.html.charts.scales import Tick, TimeScale
from flags.gate.evidence import AlarmPeriod, AlarmState, Evidence, OperationalAlarmHistory
from flags.gate.verdict import Outcome

_WIDTH: Final = 300.0
_MAX_PERIODS: Final = 3
"""Newest periods outside of PASS that are listed in words."""

_OUTCOMES: Final = {
    AlarmState.PASS: Outcome.PASS,
    AlarmState.HOLD: Outcome.FAIL,
    AlarmState.ROLLBACK: Outcome.FAIL,
    AlarmState.UNKNOWN: Outcome.INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class OperationalView:
    """One alarm, with a bar for each period on a time axis that all alarms share."""

    name: str
    source: str
    state: str
    badge: str
    sign: str
    looks: int
    reason: str
    bars: tuple[Path, ...]
    ticks: tuple[Tick, ...]
    not_passed: tuple[AlarmPeriod, ...]
    """The newest periods in which the alarm did not pass."""
    description: str
    width: float = _WIDTH


def operational_views(evidence: Evidence) -> tuple[OperationalView, ...]:
    """Return the alarms in the playbook's order."""
    window = evidence.window
    axis = TimeScale(window.since, window.until, 0.0, _WIDTH)
    return tuple(_view(alarm, axis) for alarm in evidence.operational_alarms)


def _view(alarm: OperationalAlarmHistory, axis: TimeScale) -> OperationalView:
    periods = alarm.periods
    last = periods[-1] if periods else None
    outcome = _OUTCOMES[last.state] if last else Outcome.INCONCLUSIVE
    not_passed = [each for each in periods if each.state is not AlarmState.PASS]
    words = [f"{each.state} from {each.since:%Y-%m-%d %H:%M:%S}" for each in periods[-20:]]
    return OperationalView(
        name=alarm.name,
        source=alarm.source,
        state=str(last.state if last else AlarmState.UNKNOWN).upper(),
        badge=outcome.lower(),
        sign=SIGNS[outcome],
        looks=sum(each.looks for each in periods),
        reason=last.reason if last else "not queried in this window",
        bars=tuple(_bars(periods, axis)),
        ticks=axis.ticks(3),
        not_passed=tuple(not_passed[-_MAX_PERIODS:]),
        description=f"{alarm.name}: {', '.join(words) or 'not asked'}",
    )


def _bars(periods: Sequence[AlarmPeriod], axis: TimeScale) -> list[Path]:
    """Draw a bar from each period to the next one, at least one unit wide."""
    ends = [each.since for each in periods[1:]] + [axis.last]
    bars = []
    for period, end in zip(periods, ends, strict=False):
        left = min(axis(period.since), axis.end - 1)
        right = max(axis(end), left + 1)
        bars.append(Path(f"state {period.state}", f"M{left:g} 2H{right:g}V14H{left:g}Z"))
    return bars
