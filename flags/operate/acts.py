"""Hold what was done to a flag by hand of this tool: who, when, from what to what, and why."""

import getpass
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from flags.monitoring.views import FlagView
from flags.unleash.admin import UnleashAdmin


@dataclass(frozen=True, slots=True)
class DoneAct:
    """One change of a flag; the audit file has one line for each."""

    id: str
    time: datetime
    """When it was done, with time zone; by this machine's clock."""
    command: str
    """`rollback`, `advance` or `autopilot`."""
    by: str
    """User and machine: Unleash knows of an admin token only that it is one."""
    flag: str
    environment: str
    unleash: str
    """Base URL of the dashboard."""
    before: FlagView | None
    """None where it could not be asked in time."""
    after: FlagView
    reason: str
    """In full: what Unleash keeps of it has 50 characters."""
    verdict: Mapping[str, Any] | None = None
    """What the gate said, if it was asked: its decision and its reasons."""

    @classmethod
    def of(
        cls,
        admin: UnleashAdmin,
        flag: str,
        command: str,
        *,
        before: FlagView | None,
        after: FlagView,
        reason: str,
        verdict: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return what was done to `flag` just now."""
        return cls(
            id=str(uuid.uuid4()),
            time=datetime.now(UTC),
            command=command,
            by=operator(),
            flag=flag,
            environment=admin.environment,
            unleash=admin.url,
            before=before,
            after=after,
            reason=reason,
            verdict=verdict,
        )

    @property
    def note(self) -> str:
        """Return the words for the flag itself."""
        return f"{self.command}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Following:
    """How the workers of a service took an act; a second line of the audit file."""

    act: str
    """`id` of the act."""
    time: datetime
    service: str
    workers: int
    """Number of those that confirmed it."""
    seconds: float | None
    """From the request to Unleash to the last worker's confirmation; None if not all confirmed."""
    missing: tuple[str, ...] = field(default=())
    """What stood in the way."""


def operator() -> str:
    """Return who runs this program, and where."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown user"
    return f"{user}@{socket.gethostname()}"
