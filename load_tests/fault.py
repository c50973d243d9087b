"""Say what a fault is, and which failed answers it excuses."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from load_tests.scene import Scene

Injection = Callable[["Scene"], AbstractContextManager[None]]
"""Does the harm on entering, and lifts it on leaving."""


class Excuse(Enum):
    """Which answers may fail, as long as the fault lasts; all others may not."""

    NONE = "none"
    PRIMARY = "those of the primary to requests that the flag gives to it"
    WORKER = "those whose connection breaks, or cannot be made"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: how to inject it, and how to see in the data that it was there."""

    name: str
    inject: Injection
    """In the middle of the load."""
    sign: str
    """What the data must show of it, see `Tally.signs`: a fault that leaves no sign was none."""
    placements: tuple[str, ...] = ("embedded",)
    around: tuple[Injection, ...] = ()
    """Around the whole life of the service, the first outermost."""
    settings: Mapping[str, str] = field(default_factory=dict)
    excuse: Excuse = Excuse.NONE
    flagless: bool = False
    """Whether no flags are loaded, so that the primary answers everything."""
    recovers: bool = True
    """Whether the candidate answers again by itself."""
    ships: bool = False
    """Whether the pairs are to be found at a receiver as well as on disk."""
    needs_mount: bool = False
    """Whether it takes root, to mount a file system or to make files immutable."""
