"""The file of what was told to whom, so that a restart tells nothing twice."""

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
class Told:
    """Hold what somebody was told last, by subject, and when within the last hour."""

    states: Mapping[str, str] = field(default_factory=dict)
    times: tuple[datetime, ...] = ()

    def and_now(self, states: Mapping[str, str], now: datetime) -> "Told":
        """Return this after a further message."""
        recent = (time for time in self.times if now - time < _HOUR)
        return Told({**self.states, **states}, (*recent, now))

    def within_hour(self, now: datetime) -> int:
        """Count the messages of the last hour."""
        return sum(timedelta(0) <= now - time < _HOUR for time in self.times)


_FILE: Final = TypeAdapter(dict[str, Told])


class ToldFile:
    """A small file that is replaced as a whole; without it, what was told is kept in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory: dict[str, Told] = {}

    def read(self, who: str) -> Told:
        """Return what `who` was told last."""
        return self._everything().get(who, Told())

    def write(self, who: str, told: Told) -> str | None:
        """Keep what `who` was told; return what went wrong, in words."""
        self._memory[who] = told
        try:
            with locked_to_append(self._path.with_name(f".{self._path.name}.lock")):
                content = {**self._everything(), who: told}
                replace_file(self._path, orjson.dumps(content) + b"\n", mode=0o600)
        except OSError as error:
            return (
                f"{self._path} cannot be written ({error.strerror}): after a restart, the same may "
                "be told again"
            )
        return None

    def _everything(self) -> dict[str, Told]:
        try:
            kept = _FILE.validate_json(self._path.read_bytes())
        except (OSError, ValueError):
            kept = {}
        return {**kept, **self._memory}
