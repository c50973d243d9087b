"""Counts that show whether the pairs are complete and can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flags.gate.evidence.counts import Count


@dataclass(frozen=True, slots=True)
class Sampled:
    """The pairs that a shadow budget has scored: units drawn by a hash, at a varying share."""

    scored: Count
    share: float
    """Mean share of the units that was in force."""
    shift: float
    """How far the times of scored pairs may differ from those of all traffic, from 0 to 1: half of
    the variation of the share, an upper bound of the total variation distance."""


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """A worker that no longer runs and has not closed its record."""

    worker: str
    seen: datetime | None
    """When it gave its last sign."""
    may_lack: int | None
    """Upper bound of the number of its lost pairs; None: not known."""


@dataclass(frozen=True, slots=True)
class Integrity:
    """Counts that show whether the pairs are complete and can be trusted.

    `found` of `expected` numbered pairs are there (None: no pair has a number). `active` counts the
    pairs that the flag assigned to the candidate, for the comparison with the rollout. `noise` is
    the A/A floor: of the pairs whose sides ran the same model, those whose scores differ; None if
    there are no such pairs.
    """

    found: int
    expected: int | None
    duplicates: int
    unreadable: int
    active: Count
    noise: Count | None
    models: Mapping[str, Mapping[str, int]]
    """By side, the number of pairs by model tag: several tags of a side are a mixture."""
    drawn: Count | None = None
    """Units of the flag's sticky field that it assigned to the candidate; None: the flag assigns
    each request by itself."""
    thresholds_since: datetime | None = None
    """Since when the present thresholds are in force, if the window has other thresholds before."""
    batched: Count | None = None
    """Of the shadows scored both in a batch and alone, those that differ; None without any."""
    sampled: Sampled | None = None
    """None if no shadow budget is in force."""
    open_ends: tuple[OpenEnd, ...] | None = None
    """Workers of the window that ended without closing their record; None: not known."""
    renumbered: int = 0
    """Pairs with the number of another pair of the same worker, over the window's workers."""
