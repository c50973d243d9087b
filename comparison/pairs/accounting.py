"""An account of every pair: read, left out or missing.

Each worker numbers its pairs 1, 2, 3, ... and closes its record with the last number given, so a
loss shows in the data itself, whatever lost it.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import pandas as pd

from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.sides import SIDES
from flags.export import attributes
from flags.export.worker_count import WorkerCount

_LATELY: Final = timedelta(minutes=5)
"""A worker that gave no sign for so long runs no more: it counts once a second."""

_ON_THEIR_WAY: Final = 5_000_000_000
"""Nanoseconds after a count in which its last pairs may not be on disk: lines come in batches."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Compare what one worker says it made with what was found.

    `first` and `last` are the sequence numbers seen. `expected` counts from 1 to the larger of
    `last`, the closing record's total and that of the worker's count file; without a start record
    the worker's oldest files are taken as removed, and counting begins at `first`
    (`begin_removed`). `dropped` is what the
    worker itself reported as not written.
    """

    worker: str
    first: int | None
    last: int | None
    found: int
    expected: int
    missing: int
    started: bool
    stopped: bool
    begin_removed: bool
    dropped: int
    seen: datetime | None = None
    """When it last gave a sign: the time of its last pair, or of its last count."""
    may_lack: int | None = None
    """Of a worker that has not stopped in order, and may have been killed: how many pairs it can
    have made after its last count. None: it left no count, so nobody knows."""
    service: str | None = None
    flags: tuple[str, ...] = ()
    """Those of which pairs were found that it made."""
    renumbered: int = 0
    """Pairs that have the number of another one: two processes go by its name."""


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


class Numbers(NamedTuple):
    """Of the numbers of a worker's pairs, the smallest, the largest, and how many there are.

    `time` is that of its last pair, in Unix nanoseconds, `flags` are those of its pairs,
    `again` counts the pairs that have the number of another one.
    """

    first: int | None = None
    last: int | None = None
    found: int = 0
    time: int | None = None
    flags: tuple[str, ...] = ()
    again: int = 0


Sequences = Mapping[str, Numbers]
"""By worker."""


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
    workers = _workers(sequences, counts)
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
        as_of=_moment(counts.as_of),
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


def _workers(sequences: Sequences, reading: ReadCounts) -> tuple[Worker, ...]:
    by_worker: dict[str, list[dict[str, Any]]] = {worker: [] for worker in sequences}
    for record in reading.worker_records:
        by_worker.setdefault(str(record.get(attributes.WORKER_ID)), []).append(record)
    counts: dict[str, list[WorkerCount]] = {}
    as_of = time.time_ns() if reading.as_of is None else reading.as_of
    for count in reading.worker_counts:
        by_worker.setdefault(count.worker, [])
        counts.setdefault(count.worker, []).append(count)
    return tuple(
        _worker(
            worker,
            sequences.get(worker, Numbers()),
            by_worker[worker],
            counts.get(worker, ()),
            as_of,
        )
        for worker in sorted(by_worker)
    )


def _worker(
    worker: str,
    numbers: Numbers,
    records: Sequence[dict[str, Any]],
    counts: Sequence[WorkerCount],
    as_of: int,
) -> Worker:
    first, last, found, latest, flags, again = numbers
    started = any(record.get(attributes.WORKER_EVENT) == "start" for record in records)
    closing = [record for record in records if record.get(attributes.WORKER_EVENT) == "stop"]
    counted = max(counts, key=lambda count: count.at, default=None)
    given = max(
        last or 0,
        *(_whole(record, attributes.WORKER_PAIRS) for record in closing),
        _sure(counted, last or 0, as_of) if counted else 0,
        0,
    )
    dropped = [_whole(record, attributes.WORKER_DROPPED) for record in closing]
    told = [record.get(attributes.SERVICE_NAME) for record in records]
    services = [*told, *(count.service for count in counts)]
    signs = [sign for sign in (latest, counted.at if counted else None) if sign is not None]
    begin = 1 if started else first or given + 1
    expected = given - begin + 1
    return Worker(
        worker=worker,
        first=first,
        last=last,
        found=found,
        expected=expected,
        missing=expected - found,
        started=started,
        stopped=bool(closing) or (counted is not None and counted.closed),
        begin_removed=begin > 1,
        dropped=max([*dropped, counted.dropped if counted else 0]),
        seen=_moment(max(signs, default=None)),
        may_lack=_between_counts(counted) if counted else None,
        service=next((str(name) for name in services if name is not None), None),
        flags=flags,
        renumbered=again,
    )


def _between_counts(count: WorkerCount) -> int:
    """Return as many pairs as there ever were between two counts, and once more for a late one."""
    return 2 * max(count.most, 1)


def _sure(count: WorkerCount, last: int, as_of: int) -> int:
    """Return how many pairs must be on disk by now.

    Where none was dropped, those of the last moments may be on their way.
    """
    is_fresh = as_of - count.at < _ON_THEIR_WAY and not count.closed and not count.dropped
    return last if is_fresh and count.pairs - last <= _between_counts(count) else count.pairs


def _moment(nanoseconds: int | None) -> datetime | None:
    return None if nanoseconds is None else datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _whole(record: dict[str, Any], key: str) -> int:
    """Read an int64, which OTLP/JSON writes as a string; 0 where absent or unreadable."""
    try:
        return int(record.get(key, 0))
    except (TypeError, ValueError):
        return 0
