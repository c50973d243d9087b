"""Counts that show whether the pairs are complete and can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flags.gate.evidence.counts import Count


@dataclass(frozen=True, slots=True)
class Sampled:
    """The pairs that a shadow budget has scored: units drawn by a hash, at a varying share."""

    scored: Count
    """Of all pairs under the budget, those that both sides scored."""
    share: float
    """Mean share of the units that was in force, from 0 to 1."""
    shift: float
    """How far the times of scored pairs may differ from those of all traffic, from 0 to 1: half of
    the variation of the share, an upper bound of the total variation distance."""


@dataclass(frozen=True, slots=True)
class UnclosedRecord:
    """A worker that no longer runs and has not closed its record."""

    worker: str
    """UUID of the worker."""
    last_seen: datetime | None
    """Time of its last pair or count; None: not known."""
    max_lost_pairs: int | None
    """Upper bound of the number of its lost pairs; None: not known."""


@dataclass(frozen=True, slots=True)
class Integrity:
    """Counts that show whether the pairs are complete and can be trusted."""

    found: int
    """Numbered pairs that were found."""
    expected: int | None
    """Numbered pairs that the workers made; None: no pair has a number."""
    duplicates: int
    """Repeated copies of pairs, each of which counts once."""
    unreadable: int
    """Lines and spans that could not be read."""
    candidate_active: Count
    """Pairs that the flag assigned to the candidate, to compare their share with the rollout."""
    noise: Count | None
    """The A/A floor: of the pairs whose sides ran the same model, those whose scores differ; None
    without such pairs."""
    models: Mapping[str, Mapping[str, int]]
    """By side, the number of pairs by model tag: several tags of a side are a mixture."""
    candidate_units: Count | None = None
    """Units of the flag's sticky field that it assigned to the candidate; None: the flag assigns
    each request by itself."""
    thresholds_since: datetime | None = None
    """Since when the present thresholds are in force, if the window has other thresholds before."""
    batch_disagreement: Count | None = None
    """Of the shadows scored both in a batch and alone, those that differ; None without any."""
    sampled: Sampled | None = None
    """None if no shadow budget is in force."""
    unclosed_records: tuple[UnclosedRecord, ...] | None = None
    """Workers of the window that ended without closing their record; None: not known."""
    reused_numbers: int = 0
    """Pairs with the number of another pair of the same worker, over the window's workers."""
