"""The file of looks: JSON lines with the reading of each operational alarm at each look.

Looks are kept in a file, because limits concern several looks in a row, also across restarts and by
different programs.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter

from flags.files import append_lines, locked_to_append
from flags.gate.alarm_states import AlarmReading
from flags.printable import printable_json

_MAX_READ_BYTES: Final = 8 * 2**20
"""Bytes that are read from the end of the file: some ten thousand looks."""

_READING: Final = TypeAdapter(AlarmReading)


@dataclass(slots=True)
class LookFile:
    """A file of looks, to which several programs may append at the same time."""

    path: Path

    def append(self, flag: str, readings: Iterable[AlarmReading]) -> str | None:
        """Append readings as lines; return a problem in words."""
        lines = b"".join(
            printable_json({"kind": "alarm", "flag": flag, **_plain(each)}) + b"\n"
            for each in readings
        )
        try:
            with locked_to_append(self.path) as file:
                append_lines(file, lines)
        except OSError as error:
            return (
                f"the file of looks {self.path} cannot be written ({error.strerror}): looks in a "
                "row cannot be counted"
            )
        return None

    def readings(self, flag: str) -> tuple[AlarmReading, ...]:
        """Return the latest readings of a flag; incomplete and foreign lines are skipped."""
        found = (_parsed(line, flag) for line in self._lines())
        return tuple(each for each in found if each is not None)

    def _lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _MAX_READ_BYTES))
                return file.read().splitlines()
        except OSError:
            return []


def _plain(reading: AlarmReading) -> dict[str, Any]:
    plain: dict[str, Any] = orjson.loads(printable_json(reading))
    return {key: value for key, value in plain.items() if value not in (None, "")}


def _parsed(line: bytes, flag: str) -> AlarmReading | None:
    try:
        plain = orjson.loads(line)
        if plain.pop("kind") != "alarm" or plain.pop("flag") != flag:
            return None
        return _READING.validate_python(plain)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
