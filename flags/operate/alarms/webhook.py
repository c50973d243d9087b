"""A webhook as an operational alarm: any URL that answers pass, hold or rollback."""

from datetime import datetime
from typing import Final, Literal, cast

from flags.errors import AlarmUnknownError
from flags.gate.alarm_states import AlarmReading
from flags.operate.alarms.server import AlarmServer, quoted
from flags.playbook.operational import OperationalAlarmRule

_ANSWERS: Final = ("pass", "hold", "rollback")


def read_webhook(
    server: AlarmServer, name: str, alarm: OperationalAlarmRule, now: datetime
) -> AlarmReading:
    """Return the webhook's decision and its reason, if any. Raises AlarmUnknownError."""
    document = server.json(server.get("", {}, alarm.timeout.total_seconds()))
    decision = document.get("decision") if isinstance(document, dict) else None
    if decision not in _ANSWERS:
        raise AlarmUnknownError(
            f'{server.name} answers without a "decision" of pass, hold or rollback'
        )
    return AlarmReading(
        name,
        alarm.source,
        now,
        answer=cast(Literal["pass", "hold", "rollback"], decision),
        reason=quoted(document.get("reason") or ""),
    )
