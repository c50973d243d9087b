"""An account of every pair: read, left out or missing.

Each worker numbers its pairs 1, 2, 3, ... and writes the last number when it stops, so a loss shows
in the data itself, whatever lost the pair.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import pandas as pd

from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.sides import SIDES
from comparison.pairs.workers import Numbers, Sequences, Worker, moment, workers_of

_SILENCE: Final = timedelta(minutes=5)
"""A worker without a new pair or count for this long has ended: it writes a count once a second."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """The pairs, lines and errors found in a folder of pair files, over all its flags.

    `corrupt` counts unreadable lines and pair spans that break the contract, `torn` files that end
    in the middle of a line or of damaged compressed data. `foreign` counts spans and lines of other
    programs, `flags` the pairs by flag. `duplicates` counts the repeated copies of pairs.
    `found` counts numbered pairs, `expected` those that the workers made; `completeness` is
    found / expected, None if no pair has a number.
    """

    files: int
    lines: int
    pairs: int
    duplicates: int
    torn: int
    corrupt: int
    first_corrupt: str | None
    foreign: int
    flags: dict[str, int]
    found: int
    expected: int
    completeness: float | None
    workers: tuple[Worker, ...]
    first_torn: str | None = None
    negative_durations: int = 0
    """Pairs in which a side has a negative duration: the clock was set back, or another program
    wrote the pair."""
    as_of: datetime | None = field(default=None, compare=False)
    """When the data was compacted; None for pair files, to which workers may still write."""

    def of_flag(self, flag: str) -> "Accounting":
        """Return the account of the workers that may have recorded pairs of a flag."""
        flags = {each.worker: each.flags for each in self.workers}
        services = {each.worker: each.service for each in self.workers}
        names = possible_workers(flag, flags, services)
        workers = tuple(each for each in self.workers if each.worker in names)
        return replace(self, workers=workers, **_totals(workers))

    def unclosed_records(self, now: datetime) -> tuple[Worker, ...]:
        """Return the workers that ended and did not record a stop: they may have been killed."""
        latest = min(now, self.as_of or now) - _SILENCE
        return tuple(
            each
            for each in self.workers
            if not each.stopped and (each.last_seen is None or each.last_seen < latest)
        )

    def next_unclosed_record(self, now: datetime) -> datetime | None:
        """Return the next time at which `unclosed_records` may return more, None if never."""
        if self.as_of is not None and self.as_of <= now:
            return None
        begins = (
            each.last_seen + _SILENCE
            for each in self.workers
            if each.last_seen and not each.stopped
        )
        return min((each for each in begins if each >= now), default=None)


def _totals(workers: Sequence[Worker]) -> dict[str, Any]:
    """Return `found`, `expected` and `completeness` over the pairs of some workers."""
    found = sum(worker.found for worker in workers)
    expected = sum(worker.expected for worker in workers)
    completeness = found / expected if expected else None
    return {"found": found, "expected": expected, "completeness": completeness}


def possible_workers(
    flag: str, flags: Mapping[str, Sequence[str]], services: Mapping[str, str | None]
) -> frozenset[str]:
    """Return the workers that recorded pairs of a flag, or belong to a service that did.

    `flags` has the flags of each worker's pairs, `services` the name of its service. If the service
    is not known, a worker belongs to the same service if it shares any flag with a worker that
    recorded pairs of this one. A worker without service and pairs is always included.
    """
    known = {worker for worker, own in flags.items() if flag in own}
    known_services = {services.get(worker) for worker in known}
    known_flags = set[str]().union(*(flags[worker] for worker in known))

    def is_possible(worker: str) -> bool:
        service, own = services.get(worker), flags[worker]
        if service is not None and (service in known_services or None not in known_services):
            return service in known_services
        return not own or not known_flags.isdisjoint(own)

    return frozenset(known | {worker for worker in flags if is_possible(worker)})


def account(frame: pd.DataFrame, duplicates: int, counts: ReadCounts) -> Accounting:
    """Return the account of a frame of distinct pairs of all flags.

    It takes all flags, since a worker numbers its pairs across flags.
    """
    flags = {str(flag): int(count) for flag, count in frame["flag"].value_counts().items()}
    durations = frame[[f"{side}_duration" for side in SIDES]]
    negative = int((durations < 0).any(axis=1).sum())
    return account_counts(len(frame), flags, _sequences(frame), duplicates, counts, negative)


def account_counts(
    pairs: int,
    flags: Mapping[str, int],
    sequences: Sequences,
    duplicates: int,
    counts: ReadCounts,
    negative: int,
) -> Accounting:
    """Compare the counts of pairs, made by any engine, with the numbers that the workers gave."""
    workers = workers_of(sequences, counts)
    return Accounting(
        files=counts.files,
        lines=counts.lines,
        pairs=pairs,
        duplicates=duplicates,
        torn=counts.torn,
        corrupt=counts.corrupt,
        first_corrupt=counts.first_corrupt,
        first_torn=counts.first_torn,
        foreign=counts.foreign,
        flags=dict(sorted(flags.items())),
        workers=workers,
        **_totals(workers),
        negative_durations=negative,
        as_of=moment(counts.as_of),
    )


def _sequences(frame: pd.DataFrame) -> Sequences:
    numbered = frame.loc[(frame["sequence"] > 0).fillna(False)]
    seen = numbered.groupby("worker", observed=True)["sequence"].agg(
        ["min", "max", "nunique", "count"]
    )
    times = numbered.groupby("worker", observed=True)["time"].max()
    flags: defaultdict[str, set[str]] = defaultdict(set)
    both = numbered[["worker", "flag"]].dropna().drop_duplicates()
    for worker, flag in both.itertuples(index=False):
        flags[worker].add(str(flag))
    sorted_flags = {str(worker): tuple(sorted(each)) for worker, each in flags.items()}
    return {
        str(worker): Numbers(
            int(first),
            int(last),
            int(found),
            int(times[worker].value),
            sorted_flags.get(str(worker), ()),
            int(pairs - found),
        )
        for worker, first, last, found, pairs in seen.itertuples()
    }
