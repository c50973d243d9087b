"""Faults, and the failed answers that they excuse."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from load_tests.scene import Scene

Injection = Callable[["Scene"], AbstractContextManager[None]]
"""A context manager that causes a fault on entry and ends it on exit."""


class Excuse(Enum):
    """The answers that may fail while the fault lasts."""

    NONE = "none"
    PRIMARY = "those of the primary to requests that the flag gives to it"
    WORKER = "those whose connection breaks, or cannot be made"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its injection, and the sign of it in the data."""

    name: str
    inject: Injection
    """Applied in the middle of the load."""
    sign: str
    """The sign that the data must have, see `Tally.signs`; without it the fault did not happen."""
    placements: tuple[str, ...] = ("embedded",)
    around: tuple[Injection, ...] = ()
    """Applied during the whole run of the service, the first outermost."""
    settings: Mapping[str, str] = field(default_factory=dict)
    excuse: Excuse = Excuse.NONE
    flagless: bool = False
    """Whether no flags are loaded, so that the primary answers everything."""
    recovers: bool = True
    """Whether the candidate answers again by itself."""
    ships: bool = False
    """Whether pairs are shipped, so that they must be at a receiver as well as on disk."""
    needs_mount: bool = False
    """Whether root is needed, to mount a file system or to make files immutable."""
