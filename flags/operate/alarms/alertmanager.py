"""Alertmanager as a source of operational alarms: the number of matching alerts that fire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from flags.errors import AlarmUnknownError
from flags.gate.alarm_states import AlarmReading, SeriesValue
from flags.operate.alarms.server import AlarmServer, quoted
from flags.playbook.operational import OperationalAlarmRule

PATH: Final = "/api/v2/alerts"
_MAX_NAMES: Final = 3
"""Alerts that are named in the reading."""


def read_alertmanager(
    server: AlarmServer, name: str, alarm: OperationalAlarmRule, now: datetime
) -> AlarmReading:
    """Return the number of matching alerts, neither silenced nor inhibited.

    Raises AlarmUnknownError.
    """
    parameters = {
        "filter": list(alarm.alertmanager or ()),
        "active": "true",
        "silenced": "false",
        "inhibited": "false",
        "unprocessed": "false",
    }
    alerts = server.json(server.get(PATH, parameters, alarm.timeout.total_seconds()))
    try:
        names = _names(alerts)
    except (KeyError, TypeError, AttributeError):
        raise AlarmUnknownError(
            f"{server.name} answers JSON that is not Alertmanager's list of alerts"
        ) from None
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    count = SeriesValue(len(names), quoted(", ".join(names[:_MAX_NAMES]) + more))
    return AlarmReading(name, alarm.source, now, lowest=count, highest=count)


def _names(alerts: Any) -> Sequence[str]:
    if not isinstance(alerts, list):
        raise TypeError
    return [
        str(each["labels"].get("alertname", "unnamed"))
        for each in alerts
        if each["status"]["state"] == "active"
    ]
