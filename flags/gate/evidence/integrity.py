"""Whether the pairs can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flags.gate.evidence.counts import Count


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a budget of shadows has left: units drawn by a hash, at the share in force."""

    scored: Count
    share: float
    """Mean share of the units that was in force."""
    shift: float
    """How far what was scored may lie from all traffic in time, 0 to 1: half of the variation of
    the share, a bound on their distance in total variation."""


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """A worker that gave no sign for a while, without having closed its record."""

    worker: str
    seen: datetime | None
    may_lack: int | None
    """How many pairs it may have made of which nothing is known; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class Integrity:
    """Say whether the pairs can be trusted.

    `found` of `expected` numbered pairs are there (None: no pair carries a number). `active` counts
    the pairs that the flag gave to the candidate, to be held against the rollout. `noise` is the
    A/A floor: of the pairs whose sides ran the same model, those whose scores differ; None if
    there are none.
    """

    found: int
    expected: int | None
    duplicates: int
    unreadable: int
    active: Count
    noise: Count | None
    models: Mapping[str, Mapping[str, int]]
    """By side, pairs by model tag: more than one tag of a side is a mixture."""
    drawn: Count | None = None
    """Units of the flag's sticky field that it gave to the candidate; None: it draws requests."""
    thresholds_since: datetime | None = None
    """Since when the present thresholds are in force, if earlier ones count too; else None."""
    batched: Count | None = None
    """Of the shadows scored in a batch and by themselves too, those that differ; None: none was."""
    sampled: Sampled | None = None
    """Of the pairs whose shadows a budget samples; None: there is none."""
    open_ends: tuple[OpenEnd, ...] | None = None
    """Workers of the window that run no more and left no end; None where that is not known."""
    renumbered: int = 0
    """Pairs that have the number of another one of the same worker, by the window's workers."""
