"""An account of every pair: read, left out or missing.

Each worker numbers its pairs 1, 2, 3, ... and closes its record with the last number given, so a
loss shows in the data itself, whatever lost it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from comparison.pairs.files import ReadCounts
from flags.export import attributes


@dataclass(frozen=True, slots=True)
class Worker:
    """Compare what one worker says it made with what was found.

    `first` and `last` are the sequence numbers seen. `expected` counts from 1 to the larger of
    `last` and the closing record's total; without a start record the worker's oldest files are
    taken as removed, and counting begins at `first` (`begin_removed`). `dropped` is what the
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


@dataclass(frozen=True, slots=True)
class Accounting:
    """Count what a folder of pair files held, over all its flags.

    `corrupt` counts unreadable lines and pair spans that break the contract, `torn` last lines
    that were cut off, `foreign` spans (and lines) of something else, `flags` the pairs by flag.
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


Sequences = Mapping[str, tuple[int, int, int]]
"""By worker, of the numbers of its pairs: the smallest, the largest, how many there are."""


def account(frame: pd.DataFrame, duplicates: int, counts: ReadCounts) -> Accounting:
    """Count over the distinct pairs of all flags: a worker numbers them without regard to flags."""
    flags = {str(flag): int(count) for flag, count in frame["flag"].value_counts().items()}
    return account_counts(len(frame), flags, _sequences(frame), duplicates, counts)


def account_counts(
    pairs: int, flags: Mapping[str, int], sequences: Sequences, duplicates: int, counts: ReadCounts
) -> Accounting:
    """Set what was counted, by whatever engine, against what the workers say they made."""
    workers = _workers(sequences, counts.worker_records)
    found = sum(worker.found for worker in workers)
    expected = sum(worker.expected for worker in workers)
    return Accounting(
        files=counts.files,
        lines=counts.lines,
        pairs=pairs,
        duplicates=duplicates,
        torn=counts.torn,
        corrupt=counts.corrupt,
        first_corrupt=counts.first_corrupt,
        foreign=counts.foreign,
        flags=dict(sorted(flags.items())),
        found=found,
        expected=expected,
        completeness=found / expected if expected else None,
        workers=workers,
    )


def _sequences(frame: pd.DataFrame) -> Sequences:
    numbered = frame.loc[(frame["sequence"] > 0).fillna(False)]
    seen = numbered.groupby("worker", observed=True)["sequence"].agg(["min", "max", "nunique"])
    return {
        str(worker): (int(first), int(last), int(found))
        for worker, first, last, found in seen.itertuples()
    }


def _workers(sequences: Sequences, records: Sequence[dict[str, Any]]) -> tuple[Worker, ...]:
    by_worker: dict[str, list[dict[str, Any]]] = {worker: [] for worker in sequences}
    for record in records:
        by_worker.setdefault(str(record.get(attributes.WORKER_ID)), []).append(record)
    return tuple(
        _worker(worker, sequences.get(worker, (None, None, 0)), by_worker[worker])
        for worker in sorted(by_worker)
    )


def _worker(
    worker: str,
    seen: tuple[int | None, int | None, int],
    records: Sequence[dict[str, Any]],
) -> Worker:
    first, last, found = seen
    started = any(record.get(attributes.WORKER_EVENT) == "start" for record in records)
    closing = [record for record in records if record.get(attributes.WORKER_EVENT) == "stop"]
    given = max([last or 0, *(_whole(record, attributes.WORKER_PAIRS) for record in closing)])
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
        stopped=bool(closing),
        begin_removed=begin > 1,
        dropped=max((_whole(record, attributes.WORKER_DROPPED) for record in closing), default=0),
    )


def _whole(record: dict[str, Any], key: str) -> int:
    """Read an int64, which OTLP/JSON writes as a string; 0 where absent or unreadable."""
    try:
        return int(record.get(key, 0))
    except (TypeError, ValueError):
        return 0
