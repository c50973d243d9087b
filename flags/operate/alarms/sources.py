"""The sources of all operational alarms of a playbook, asked at the same time."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from flags.errors import AlarmUnknownError, FlagsError
from flags.gate.alarm_states import AlarmReading
from flags.operate.alarms.alertmanager import read_alertmanager
from flags.operate.alarms.prometheus import read_prometheus
from flags.operate.alarms.server import AlarmServer
from flags.operate.alarms.webhook import read_webhook
from flags.operate.environment import fill_in, variable
from flags.playbook.model import Playbook
from flags.playbook.operational import OperationalAlarmRule

_MAX_THREADS: Final = 8
"""Alarms that are read at the same time."""

_Read = Callable[[AlarmServer, str, OperationalAlarmRule, datetime], AlarmReading]


@dataclass(frozen=True, slots=True)
class AlarmSources:
    """The addresses of the servers, and the environment with their tokens."""

    prometheus: str | None
    alertmanager: str | None
    environment: Mapping[str, str] = field(repr=False)
    """Environment variables, which hold the tokens."""

    def read(self, playbook: Playbook, now: datetime) -> tuple[AlarmReading, ...]:
        """Read every alarm; the reading of one that cannot be read has a problem."""
        if not playbook.alarms:
            return ()
        with ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="alarms") as threads:
            futures = [
                threads.submit(self._reading, name, alarm, now)
                for name, alarm in playbook.alarms.items()
            ]
            return tuple(each.result() for each in futures)

    def _reading(self, name: str, alarm: OperationalAlarmRule, now: datetime) -> AlarmReading:
        try:
            address, token, read = self._source(alarm)
            server = AlarmServer(address, token)
            try:
                return read(server, name, alarm, now)
            finally:
                server.close()
        except FlagsError as error:
            return AlarmReading(name, alarm.source, now, problem=str(error))

    def _source(self, alarm: OperationalAlarmRule) -> tuple[str, str | None, _Read]:
        """Return the server's address, the token, and the function that reads the alarm."""
        token = variable(alarm.token, self.environment) if alarm.token else None
        if alarm.webhook is not None:
            return fill_in(alarm.webhook, self.environment), token, read_webhook
        is_query = alarm.prometheus is not None
        address, name = (
            (self.prometheus, "PROMETHEUS") if is_query else (self.alertmanager, "ALERTMANAGER")
        )
        if not address:
            raise AlarmUnknownError(f"{name}_URL is not set: which server is to be asked?")
        token = token or self.environment.get(f"{name}_TOKEN")
        return address, token, read_prometheus if is_query else read_alertmanager
