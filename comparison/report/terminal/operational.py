"""The operational alarms for a terminal, each as a time line of marks."""

from datetime import timedelta
from typing import Final

from rich.console import Console

from comparison.report.terminal.tables import add_row, new_table, note, print_table
from flags.gate.evidence import AlarmState, Evidence, OperationalAlarmHistory, Window

_MARKS: Final = 24
_MARK: Final = {
    AlarmState.PASS: ".",
    AlarmState.HOLD: "h",
    AlarmState.ROLLBACK: "R",
    AlarmState.UNKNOWN: "?",
}
_GRAVITY: Final = (AlarmState.ROLLBACK, AlarmState.HOLD, AlarmState.UNKNOWN, AlarmState.PASS)


def print_operational(evidence: Evidence, console: Console) -> None:
    """Print each alarm with its states over time; nothing if the playbook names none."""
    if not evidence.operational_alarms:
        return
    table = new_table("Operational alarms", "alarm", "over the window", "state", "since", left=3)
    for alarm in evidence.operational_alarms:
        last = alarm.periods[-1] if alarm.periods else None
        state, since = (str(last.state), f"{last.since:%m-%d %H:%M:%S}") if last else ("?", "-")
        add_row(table, alarm.name, time_line(alarm, evidence.window), state, since)
    print_table(table, console)
    note(console, ".: within the limits, h: holds, R: beyond the rollback limit, ?: not known")


def time_line(alarm: OperationalAlarmHistory, window: Window, marks: int = _MARKS) -> str:
    """Return a mark per part of the window: its gravest state, a blank before the first look."""
    size = max((window.until - window.since) / marks, timedelta(microseconds=1))
    ends = [each.since for each in alarm.periods[1:]] + [window.until]
    found: list[AlarmState | None] = [None] * marks
    for period, end in zip(alarm.periods, ends, strict=False):
        first = min(marks - 1, int((period.since - window.since) / size))
        last = max(first + 1, min(marks, round((end - window.since) / size)))
        for index in range(first, last):
            before = found[index]
            found[index] = min(
                (each for each in (before, period.state) if each), key=_GRAVITY.index
            )
    return "".join(" " if state is None else _MARK[state] for state in found)
