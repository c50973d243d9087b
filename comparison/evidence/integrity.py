"""The integrity of the pairs of a window: completeness, the candidate's share, noise."""

import math
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from comparison.counts.tables import Aggregates
from comparison.evidence.health import by_value
from comparison.pairs.accounting import Accounting
from comparison.pairs.sides import SIDES
from comparison.pairs.workers import Worker
from flags.gate.evidence import Count, Integrity, Sampled, UnclosedRecord


def integrity(
    aggregates: Aggregates,
    pairs: pd.DataFrame,
    carried: pd.DataFrame,
    accounting: Accounting | None,
    now: datetime,
) -> Integrity:
    """Return the integrity of a window.

    `pairs` are the rows of the step; `carried` has those of earlier steps of the candidate as well.
    Completeness covers the whole window, since numbers run on when the rollout changes.
    """
    active = pairs["active"].eq("candidate").fillna(False)
    found, expected = _completeness(aggregates.workers, accounting.workers if accounting else ())
    return Integrity(
        found=found,
        expected=expected,
        duplicates=aggregates.duplicates,
        unreadable=accounting.torn + accounting.corrupt if accounting else 0,
        candidate_active=Count(int(pairs.loc[active, "n"].sum()), int(pairs["n"].sum())),
        noise=_noise(aggregates.noise),
        candidate_units=Count(*aggregates.drawn) if aggregates.drawn else None,
        sampled=_sampled(aggregates.sampled),
        batch_disagreement=None if aggregates.batched is None else Count(*aggregates.batched),
        models={side: by_value(carried, f"{side}_model") for side in SIDES},
        unclosed_records=None
        if accounting is None
        else _unclosed_records(aggregates, accounting, now),
        reused_numbers=0 if accounting is None else _reused_numbers(aggregates, accounting),
    )


def _sampled(sums: tuple[int, int, float, float] | None) -> Sampled | None:
    if sums is None:
        return None
    scored, n, shares, squares = sums
    variation = max(0.0, n * squares / shares**2 - 1) if shares else 0.0
    return Sampled(Count(scored, n), shares / n, math.sqrt(variation) / 2)


def _unclosed_records(
    aggregates: Aggregates, accounting: Accounting, now: datetime
) -> tuple[UnclosedRecord, ...]:
    """Return the workers that may have been killed, and whose last pair lies in the window.

    A worker that was seen lately still runs. A worker with pairs after the window lacks none in it.
    """
    last = dict(zip(aggregates.workers["worker"].map(str), aggregates.workers["last"], strict=True))
    return tuple(
        UnclosedRecord(each.worker, each.last_seen, each.max_lost_pairs)
        for each in accounting.unclosed_records(now)
        if (each.worker not in last or last[each.worker] == each.last)
        and (each.worker in last or (each.expected and not each.found))
    )


def _reused_numbers(aggregates: Aggregates, accounting: Accounting) -> int:
    """Count the pairs with a number that another pair has, of workers with pairs in the window."""
    here = set(aggregates.workers["worker"].map(str))
    return sum(each.reused_numbers for each in accounting.workers if each.worker in here)


def _completeness(windowed: pd.DataFrame, workers: Sequence[Worker]) -> tuple[int, int | None]:
    """Return how many numbers of pairs were found and expected; None if no pair has a number.

    Between a worker's first and last pair in the window every number is expected. Numbers before
    and after them are expected only where all pairs of the worker lie in the window: its records
    then say how many there were. A worker without any pair counts with all pairs it recorded.
    """
    known = {each.worker: each for each in workers}
    found = expected = 0
    columns = (windowed[name].tolist() for name in ("worker", "first", "last", "n"))
    for name, begin, end, n in zip(*columns, strict=True):
        worker = known.get(str(name))
        if worker and worker.first == begin and not worker.begin_removed:
            begin = 1
        if worker and worker.last == end:
            end = worker.expected + (worker.first or 1 if worker.begin_removed else 1) - 1
        found += n
        expected += end - begin + 1
    expected += sum(worker.expected for worker in workers if not worker.found)
    return found, expected or None


def _noise(noise: pd.DataFrame) -> Count | None:
    """Return the differing pairs of one model, of the output with the largest share of them."""
    counts = []
    for _, rows in noise.groupby("output", observed=True):
        n = rows["n"].to_numpy(dtype=np.int64)
        differs = rows["differs"].fillna(True).to_numpy(dtype=bool)
        counts.append(Count(int(n[differs].sum()), int(n.sum())))
    return max(
        (each for each in counts if each.total), key=lambda each: each.rate or 0, default=None
    )
