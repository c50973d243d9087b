"""Checks of operational alarms, which fire in other systems: one holds, a lasting one rolls back.

The gate cannot bound how often such an alarm errs, so it has no share of the error rate. The author
of its limits is responsible for that.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from flags.gate.evidence import AlarmPeriod, AlarmState, OperationalAlarmHistory
from flags.gate.verdict import Check, Outcome
from flags.playbook import operational as plan
from flags.playbook.durations import duration_text
from flags.playbook.model import Playbook

NAME = "operational_alarm"
"""Name of these checks; their `subject` is the alarm's name."""


def operational_checks(
    alarms: Sequence[OperationalAlarmHistory], playbook: Playbook
) -> Iterator[Check]:
    """Yield one check for each operational alarm of the playbook."""
    seen = {each.name: each for each in alarms}
    for name, planned in playbook.alarms.items():
        yield _check(name, planned, seen.get(name))


def _check(
    name: str, planned: plan.OperationalAlarmRule, seen: OperationalAlarmHistory | None
) -> Check:
    if seen is None or not seen.periods:
        return _made(name, Outcome.INCONCLUSIVE, 0, "not queried in this window")
    looks, last = sum(each.looks for each in seen.periods), seen.periods[-1]
    if last.state is AlarmState.UNKNOWN:
        return _made(name, Outcome.INCONCLUSIVE, looks, f"not known: {last.reason}", last)
    if last.state is AlarmState.PASS:
        return _made(name, Outcome.PASS, looks, last.reason, last)
    if last.state is AlarmState.HOLD:
        return _made(name, Outcome.FAIL, looks, last.reason, last)
    row = _row(seen.periods)
    times, lasted = sum(each.looks for each in row), row[-1].until - row[0].since
    enough = times >= planned.looks and lasted >= planned.lasting
    words = f"{last.reason}, at 1 look"
    if times > 1:
        during = duration_text(timedelta(seconds=round(lasted.total_seconds())))
        words = f"{last.reason}, at {times} looks in a row within {during}"
    if not enough:
        words += f"; {planned.looks} looks and {duration_text(planned.lasting)} roll back"
    return _made(name, Outcome.FAIL, looks, words, last, rolls_back=enough)


def _row(periods: Sequence[AlarmPeriod]) -> list[AlarmPeriod]:
    """Return the latest consecutive periods at the rollback limit; unknown ones are skipped."""
    row: list[AlarmPeriod] = []
    for period in reversed(periods):
        if period.state is AlarmState.ROLLBACK:
            row.insert(0, period)
        elif period.state is not AlarmState.UNKNOWN:
            break
    return row


def _made(
    name: str,
    outcome: Outcome,
    looks: int,
    reason: str,
    last: AlarmPeriod | None = None,
    *,
    rolls_back: bool = False,
) -> Check:
    return Check(
        NAME,
        None,
        None,
        outcome,
        last.figure if last else None,
        None,
        None,
        last.limit if last else None,
        looks,
        f"operational alarm {name}: {reason}",
        rolls_back=rolls_back,
        subject=name,
    )
