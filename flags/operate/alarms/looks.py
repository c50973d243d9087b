"""A look at all operational alarms of a playbook, kept in the file of looks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flags.gate.alarm_states import AlarmReading
from flags.operate.alarms.sources import AlarmSources
from flags.operate.look_file import LookFile
from flags.playbook.model import Playbook


@dataclass(frozen=True, slots=True)
class AlarmLooks:
    """Ask, keep the answers, and return them with those of earlier looks."""

    sources: AlarmSources
    file: LookFile
    warn: Callable[[str], object]
    """Is told if the answers cannot be kept: they count for this look all the same."""

    def __call__(self, playbook: Playbook, now: datetime) -> tuple[AlarmReading, ...]:
        """Return the readings up to now; none if the playbook has no operational alarms."""
        if not playbook.alarms:
            return ()
        readings = self.sources.read(playbook, now)
        earlier = self.file.readings(playbook.flag)
        if problem := self.file.append(playbook.flag, readings):
            self.warn(problem)
        return (*earlier, *readings)
