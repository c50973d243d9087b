"""The numbers that each worker gave its pairs, compared with the pairs found."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from comparison.pairs.read_counts import ReadCounts
from flags.export import attributes
from flags.export.worker_count import WorkerCount

_WRITE_DELAY: Final = 5_000_000_000
"""Nanoseconds after which all counted pairs are on disk: workers write lines in batches."""


@dataclass(frozen=True, slots=True)
class Worker:
    """The pairs of one worker that were found, expected and missing.

    `first` and `last` are the sequence numbers found. `expected` counts from 1 to the largest of
    `last`, the total of the closing record and that of the worker's count file. Without a start
    record, the worker's oldest files are assumed to be removed (`begin_removed`), and `expected`
    counts from `first`. `dropped` is how many pairs the worker reported as not written.
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
    last_seen: datetime | None = None
    """The time of its last pair or last count, whichever is later."""
    max_lost_pairs: int | None = None
    """If the worker was killed: how many pairs it can have recorded after its last count. None if
    it left no count, so that this is unknown."""
    service: str | None = None
    flags: tuple[str, ...] = ()
    """The flags of its pairs."""
    reused_numbers: int = 0
    """Pairs with the number of another pair: two processes use this worker's name."""


class Numbers(NamedTuple):
    """The sequence numbers of a worker's pairs: smallest, largest, and how many distinct ones.

    `time` is the time of its last pair, in Unix nanoseconds, `flags` are the flags of its pairs,
    `reused_numbers` counts the pairs with the number of another pair.
    """

    first: int | None = None
    last: int | None = None
    found: int = 0
    time: int | None = None
    flags: tuple[str, ...] = ()
    reused_numbers: int = 0


Sequences = Mapping[str, Numbers]
"""The numbers of each worker."""


def workers_of(sequences: Sequences, read: ReadCounts) -> tuple[Worker, ...]:
    """Return every worker with pairs, a record or a count, in order of their names."""
    by_worker: dict[str, list[dict[str, Any]]] = {worker: [] for worker in sequences}
    for record in read.worker_records:
        by_worker.setdefault(str(record.get(attributes.WORKER_ID)), []).append(record)
    counts: dict[str, list[WorkerCount]] = {}
    as_of = time.time_ns() if read.as_of is None else read.as_of
    for count in read.worker_counts:
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
    first, last, found, last_time, flags, reused_numbers = numbers
    started = any(record.get(attributes.WORKER_EVENT) == "start" for record in records)
    closing = [record for record in records if record.get(attributes.WORKER_EVENT) == "stop"]
    last_count = max(counts, key=lambda count: count.at, default=None)
    total = max(
        last or 0,
        *(_whole(record, attributes.WORKER_PAIRS) for record in closing),
        _written(last_count, last or 0, as_of) if last_count else 0,
        0,
    )
    dropped = [_whole(record, attributes.WORKER_DROPPED) for record in closing]
    recorded = [record.get(attributes.SERVICE_NAME) for record in records]
    services = [*recorded, *(count.service for count in counts)]
    times = [last_time, last_count.at if last_count else None]
    begin = 1 if started else first or total + 1
    expected = total - begin + 1
    return Worker(
        worker=worker,
        first=first,
        last=last,
        found=found,
        expected=expected,
        missing=expected - found,
        started=started,
        stopped=bool(closing) or (last_count is not None and last_count.closed),
        begin_removed=begin > 1,
        dropped=max([*dropped, last_count.dropped if last_count else 0]),
        last_seen=moment(max((each for each in times if each is not None), default=None)),
        max_lost_pairs=_max_after(last_count) if last_count else None,
        service=next((str(name) for name in services if name is not None), None),
        flags=flags,
        reused_numbers=reused_numbers,
    )


def _max_after(count: WorkerCount) -> int:
    """Return how many pairs may follow a count before the next one.

    It is twice the most pairs that there were between two counts, since the next one may be late.
    """
    return 2 * max(count.most, 1)


def _written(count: WorkerCount, last: int, as_of: int) -> int:
    """Return how many of the counted pairs must be on disk by now.

    The last pairs before a recent count may not be written yet, if the worker dropped none.
    """
    is_recent = as_of - count.at < _WRITE_DELAY and not count.closed and not count.dropped
    return last if is_recent and count.pairs - last <= _max_after(count) else count.pairs


def moment(nanoseconds: int | None) -> datetime | None:
    """Return nanoseconds since 1970 as a time."""
    return None if nanoseconds is None else datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _whole(record: dict[str, Any], key: str) -> int:
    """Read an int64, which OTLP/JSON writes as a string; 0 where absent or unreadable."""
    try:
        return int(record.get(key, 0))
    except (TypeError, ValueError):
        return 0
