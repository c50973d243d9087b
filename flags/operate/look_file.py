"""The file of looks: JSON lines, what each look at the operational alarms found.

Looks in a row count, whoever looked: so they are kept, and a restart forgets none.
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

_READ: Final = 8 * 2**20
"""Bytes that are read, from the end: some ten thousand looks."""

_READING: Final = TypeAdapter(AlarmReading)


@dataclass(slots=True)
class LookFile:
    """A file of looks that several programs may append to at once."""

    path: Path

    def append(self, flag: str, readings: Iterable[AlarmReading]) -> str | None:
        """Write readings as lines; return what went wrong, in words."""
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
        """Return the latest readings about a flag; lines that are torn or none of ours are none."""
        found = (_parsed(line, flag) for line in self._lines())
        return tuple(each for each in found if each is not None)

    def _lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _READ))
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
