"""A look at all operational alarms of a playbook, recorded in the file of looks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flags.gate.alarm_states import AlarmReading
from flags.operate.alarms.sources import AlarmSources
from flags.operate.look_file import LookFile
from flags.playbook.model import Playbook


@dataclass(frozen=True, slots=True)
class AlarmLooks:
    """A function that reads all alarms, records the readings, and adds earlier ones."""

    sources: AlarmSources
    file: LookFile
    warn: Callable[[str], object]
    """Called if the readings cannot be recorded; they are returned all the same."""

    def __call__(self, playbook: Playbook, now: datetime) -> tuple[AlarmReading, ...]:
        """Return all readings up to now; none if the playbook has no operational alarms."""
        if not playbook.alarms:
            return ()
        readings = self.sources.read(playbook, now)
        earlier = self.file.readings(playbook.flag)
        if problem := self.file.append(playbook.flag, readings):
            self.warn(problem)
        return (*earlier, *readings)
