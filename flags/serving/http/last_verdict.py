"""The last verdict that `gate` or `autopilot` has written beside the pairs."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

FILE: Final = "verdict.json"
"""Name in the folder of the pairs: `bentoml migration gate pairs ... --json pairs/verdict.json`."""

_LARGEST: Final = 4 * 2**20
"""Bytes; a longer file is none of ours."""


@dataclass(frozen=True, slots=True)
class LastVerdict:
    """The part of a verdict document that the live page shows."""

    flag: str
    step: str
    decision: str
    reasons: tuple[str, ...] = ()
    at: datetime | None = None
    """When the file was written."""


_VERDICT: Final = TypeAdapter(LastVerdict)


def last_verdict(folder: Path, flag: str) -> LastVerdict | None:
    """Return the last verdict on `flag`; None if there is none, or none that can be read."""
    path = folder / FILE
    try:
        facts = path.stat()
        if facts.st_size > _LARGEST:
            return None
        found = _VERDICT.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    if found.flag != flag:
        return None
    return replace(found, at=datetime.fromtimestamp(facts.st_mtime, UTC))
