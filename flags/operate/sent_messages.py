"""The file of the last sent messages by recipient, so that a restart sends nothing twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import orjson
from pydantic import TypeAdapter

from flags.files import locked_to_append, replace_file

_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SentMessages:
    """The messages that one recipient got."""

    states: Mapping[str, str] = field(default_factory=dict)
    """The last sent state of each subject."""
    times: tuple[datetime, ...] = ()
    """Times of the messages of the last hour."""

    def with_message(self, states: Mapping[str, str], now: datetime) -> "SentMessages":
        """Return the sent messages after a further one."""
        recent = (time for time in self.times if now - time < _HOUR)
        return SentMessages({**self.states, **states}, (*recent, now))

    def within_hour(self, now: datetime) -> int:
        """Count the messages of the last hour."""
        return sum(timedelta(0) <= now - time < _HOUR for time in self.times)


_FILE: Final = TypeAdapter(dict[str, SentMessages])


class SentMessagesFile:
    """The sent messages of all recipients, in a small file; if it cannot be written, in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory: dict[str, SentMessages] = {}

    def read(self, recipient: str) -> SentMessages:
        """Return the messages sent to a recipient."""
        return self._read_all().get(recipient, SentMessages())

    def write(self, recipient: str, sent: SentMessages) -> str | None:
        """Store the messages sent to a recipient; return a problem in words."""
        self._memory[recipient] = sent
        try:
            with locked_to_append(self._path.with_name(f".{self._path.name}.lock")):
                content = {**self._read_all(), recipient: sent}
                replace_file(self._path, orjson.dumps(content) + b"\n", mode=0o600)
        except OSError as error:
            return (
                f"{self._path} cannot be written ({error.strerror}): after a restart, the same may "
                "be told again"
            )
        return None

    def _read_all(self) -> dict[str, SentMessages]:
        try:
            kept = _FILE.validate_json(self._path.read_bytes())
        except (OSError, ValueError):
            kept = {}
        return {**kept, **self._memory}
