"""An account of every pair: read, left out or missing.

Each worker numbers its pairs 1, 2, 3, ... and closes its record with the last number given, so a
loss shows in the data itself, whatever lost it.
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

_LATELY: Final = timedelta(minutes=5)
"""A worker that gave no sign for so long runs no more: it counts once a second."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """Count what a folder of pair files held, over all its flags.

    `corrupt` counts unreadable lines and pair spans that break the contract, `torn` files that end
    early: in a line, or where what is compressed was cut off or damaged. `foreign` counts spans
    (and lines) of something else, `flags` the pairs by flag.
    `completeness` is numbered pairs found / expected; None if no pair carries a number.
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
    negative: int = 0
    """Pairs with a side whose duration is below zero: a clock that was set back, or not ours."""
    as_of: datetime | None = field(default=None, compare=False)
    """Of when this is; None where workers may still write."""

    def of_flag(self, flag: str) -> "Accounting":
        """Return the account of the workers that may have made pairs of a flag."""
        flags = {each.worker: each.flags for each in self.workers}
        names = may_have_made(flag, flags, {each.worker: each.service for each in self.workers})
        workers = tuple(each for each in self.workers if each.worker in names)
        return replace(self, workers=workers, **_totals(workers))

    def open_ends(self, now: datetime) -> tuple[Worker, ...]:
        """Return the workers that run no more and left no end: they may have been killed."""
        latest = min(now, self.as_of or now) - _LATELY
        return tuple(
            each
            for each in self.workers
            if not each.stopped and (each.seen is None or each.seen < latest)
        )

    def next_open_end(self, now: datetime) -> datetime | None:
        """Return from when on there may be further ones, None if never."""
        if self.as_of is not None and self.as_of <= now:
            return None
        begins = (each.seen + _LATELY for each in self.workers if each.seen and not each.stopped)
        return min((each for each in begins if each >= now), default=None)


def _totals(workers: Sequence[Worker]) -> dict[str, Any]:
    """Return what was found and expected of some workers."""
    found = sum(worker.found for worker in workers)
    expected = sum(worker.expected for worker in workers)
    completeness = found / expected if expected else None
    return {"found": found, "expected": expected, "completeness": completeness}


def may_have_made(
    flag: str, flags: Mapping[str, Sequence[str]], services: Mapping[str, str | None]
) -> frozenset[str]:
    """Return the workers that made pairs of a flag, or are of a service that did.

    `flags` are those of the pairs that were found of each worker, `services` what it runs. Where
    the service is not known, it is told by the flags that one worker has beside each other; a
    worker of which neither is known may have made anything.
    """
    makers = {worker for worker, made in flags.items() if flag in made}
    theirs = {services.get(worker) for worker in makers}
    beside = set[str]().union(*(flags[worker] for worker in makers))

    def may(worker: str) -> bool:
        service, made = services.get(worker), flags[worker]
        if service is not None and (service in theirs or None not in theirs):
            return service in theirs
        return not made or not beside.isdisjoint(made)

    return frozenset(makers | {worker for worker in flags if may(worker)})


def account(frame: pd.DataFrame, duplicates: int, counts: ReadCounts) -> Accounting:
    """Count over the distinct pairs of all flags: a worker numbers them without regard to flags."""
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
    """Set what was counted, by whatever engine, against what the workers say they made."""
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
        negative=negative,
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
    made = {str(worker): tuple(sorted(each)) for worker, each in flags.items()}
    return {
        str(worker): Numbers(
            int(first),
            int(last),
            int(found),
            int(times[worker].value),
            made.get(str(worker), ()),
            int(pairs - found),
        )
        for worker, first, last, found, pairs in seen.itertuples()
    }
