"""What one worker says that it made, against what was found of it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from comparison.pairs.read_counts import ReadCounts
from flags.export import attributes
from flags.export.worker_count import WorkerCount

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


def workers_of(sequences: Sequences, reading: ReadCounts) -> tuple[Worker, ...]:
    """Return every worker that left pairs, a record or a count, in order of their names."""
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
        seen=moment(max(signs, default=None)),
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


def moment(nanoseconds: int | None) -> datetime | None:
    """Return nanoseconds since 1970 as a time."""
    return None if nanoseconds is None else datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _whole(record: dict[str, Any], key: str) -> int:
    """Read an int64, which OTLP/JSON writes as a string; 0 where absent or unreadable."""
    try:
        return int(record.get(key, 0))
    except (TypeError, ValueError):
        return 0
