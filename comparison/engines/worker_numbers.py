"""Count the sequence numbers that workers gave their pairs, and account for missing pairs."""

from datetime import datetime
from typing import Final, Protocol

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.engines.embedded import table_in_memory
from comparison.engines.grouping import HOUR, WORKERS, fetched, framed
from comparison.engines.mergeable import MergeableCounts
from comparison.pairs.accounting import Accounting, account_counts
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.workers import Numbers

_BLOCK: Final = 32
_PARTS: Final = {"worker": "string", "block": "int64", "powers": "float64", "n": "int64"}
_RANGES: Final = {"begin": "int64", "end": "int64"}
_BY_WORKER: Final = {
    "flag": "string",
    "worker": "string",
    "n": "int64",
    "last": "int64",
    "negative": "int64",
}


class CountedPairs(Protocol):
    """A source of pairs that counts them."""

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs of a window."""

    def counted(
        self,
        counts: MergeableCounts,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> ir.Table:
        """Return the counts of the pairs of a window."""


def _hours(pairs: ir.Table) -> ir.Table:
    negative = (_.primary_duration < 0) | (_.candidate_duration < 0)
    return pairs.select(
        "flag",
        "worker",
        hour=(_.time - _.time % HOUR) // HOUR,
        first=_.sequence,
        last=_.sequence,
        latest=_.time,
        negative=ibis.ifelse(negative, 1, 0),
    )


HOURS: Final = MergeableCounts(
    "hours",
    _hours,
    ("flag", "worker", "hour"),
    {
        "n": "sum",
        "first": "least",
        "last": "largest",
        "latest": "largest",
        "negative": "sum",
    },
)
"""Pairs by flag, worker and hour: how many, the smallest and the largest sequence number, the time
of the last pair, and how many have a negative duration."""


def pairs_by_worker(source: CountedPairs) -> ir.Table:
    """Sum pairs by flag and worker: `n`, the time of the `last`, and `negative` durations."""
    return _sum_by_worker(source.counted(HOURS))


def recorded_flags(source: CountedPairs) -> list[str]:
    """Return the flags that have pairs, sorted."""
    hours = source.counted(HOURS)
    held = table_in_memory(hours)
    flags = hours.select("flag").distinct().to_pyarrow() if held is None else held
    return sorted(flags["flag"].unique().drop_null().to_pylist())


def _sum_by_worker(hours: ir.Table) -> ir.Table:
    sums = {"n": _.n.sum(), "last": _.latest.max(), "negative": _.negative.sum()}
    return hours.group_by("flag", "worker").agg(**sums)


def numbered(pairs: ir.Table) -> ir.Table:
    """Return worker and sequence number of the pairs that have both."""
    return pairs.filter(_.sequence > 0, _.worker.notnull()).select("worker", "sequence")


def _blocks(pairs: ir.Table) -> ir.Table:
    place = (_.sequence % _BLOCK).cast("float64")
    begin = _.sequence - _.sequence % _BLOCK
    return numbered(pairs).select("worker", block=begin, powers=2.0**place)


NUMBERS: Final = MergeableCounts(
    "numbers", _blocks, ("worker", "block"), {"powers": "sum", "n": "sum"}
)
"""Sequence numbers in blocks, as `distinct_numbers` needs them."""

NUMBER_RANGES: Final = MergeableCounts(
    "number_ranges",
    lambda pairs: numbered(pairs).select("worker", begin=_.sequence, end=_.sequence),
    ("worker",),
    {"begin": "least", "end": "largest"},
)
"""The smallest and the largest sequence number of each worker."""


def account_source(
    source: CountedPairs, duplicates: int, counts: ReadCounts, *, unique: bool = True
) -> Accounting:
    """Compare the pairs of a place with the workers' records in `counts`.

    `unique` says that no pair is there twice: only then is a repeated sequence number reported.
    """
    blocks = source.counted(NUMBERS)
    return _account(
        pairs_by_worker(source), source.table(), blocks, duplicates, counts, unique=unique
    )


def account_table(pairs: ir.Table, duplicates: int, counts: ReadCounts) -> Accounting:
    """Do what `account_source` does, for a table of pairs."""
    return _account(
        _sum_by_worker(HOURS.statement(pairs)), pairs, NUMBERS.statement(pairs), duplicates, counts
    )


def _account(
    by_worker: ir.Table,
    pairs: ir.Table,
    blocks: ir.Table,
    duplicates: int,
    counts: ReadCounts,
    *,
    unique: bool = True,
) -> Accounting:
    sums = framed(by_worker, _BY_WORKER)
    numbers = distinct_numbers(pairs, blocks=blocks)
    is_suspect = unique and sums["n"].sum() > numbers["n"].sum()
    again = _repeated_numbers(blocks, numbers) if is_suspect else {}
    last, flags = sums.groupby("worker")["last"].max(), flags_by_worker(sums)
    return account_counts(
        int(sums["n"].sum()),
        {str(flag): int(n) for flag, n in sums.groupby("flag")["n"].sum().items()},
        {
            str(name): Numbers(
                int(first),
                int(end),
                int(found),
                int(last[name]),
                flags[str(name)],
                again.get(str(name), 0),
            )
            for name, first, end, found in numbers.itertuples(index=False)
        },
        duplicates,
        counts,
        int(sums["negative"].sum()),
    )


def _repeated_numbers(blocks: ir.Table, numbers: pd.DataFrame) -> dict[str, int]:
    """Return, by worker, how many pairs have the sequence number of another pair."""
    pairs = framed(blocks.group_by("worker").agg(n=_.n.sum()), {"worker": "string", "n": "int64"})
    again = pairs.set_index("worker")["n"] - numbers.set_index("worker")["n"]
    return {str(worker): int(n) for worker, n in again.items()}


def flags_by_worker(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return the flags of each worker, from a table with the columns `worker` and `flag`."""
    return {
        str(worker): tuple(sorted({str(flag) for flag in flags.dropna()}))
        for worker, flags in rows.groupby("worker")["flag"]
    }


def distinct_numbers(
    pairs: ir.Table, ranges: ir.Table | None = None, *, blocks: ir.Table | None = None
) -> pd.DataFrame:
    """Return, per worker, the first and the last sequence number, and how many distinct ones.

    With `ranges` (worker, begin, end), only for the workers in it, and only from begin to end.
    `blocks` are the counts `NUMBERS` of `pairs`, if they exist already.

    Numbers are grouped into blocks of 32, and those of a block are summed as powers of two. The
    sum of n powers has n ones in binary if and only if all of them differ. So an engine need not
    hold every number to see that none is repeated; only if one is, a query counts distinct ones.
    """
    blocks = NUMBERS.statement(pairs) if blocks is None else blocks
    full = (_.n == _BLOCK) & (_.powers == 2.0**_BLOCK - 1)
    if ranges is not None:  # join blocks, not numbers: there are fewer
        blocks = blocks.inner_join(ranges, "worker")
        blocks = blocks.filter(_.block + _BLOCK > _.begin, _.block <= _.end)
        full &= (_.block >= _.begin) & (_.block + _BLOCK - 1 <= _.end)
    part = framed(blocks.filter(~full), _PARTS if ranges is None else {**_PARTS, **_RANGES})
    different = [int(powers).bit_count() for powers in part["powers"]]
    if not np.array_equal(different, part["n"]):
        return _query_distinct(numbered(pairs), ranges)
    whole = blocks.filter(full).group_by("worker")
    sums = whole.agg(first=_.block.min(), last=_.block.max() + _BLOCK - 1, n=_.n.sum())
    rows = [_numbers_in_range(*row) for row in part.itertuples(index=False)]
    dtypes = {**WORKERS, "n": "int64"}
    joined = pd.concat(
        [framed(sums, dtypes), pd.DataFrame(filter(None, rows), columns=list(dtypes))]
    )
    counts = joined.groupby("worker", as_index=False).agg(
        {"first": "min", "last": "max", "n": "sum"}
    )
    return counts[list(dtypes)].astype(dtypes)


def _numbers_in_range(
    worker: str, block: int, powers: float, _n: int, begin: int = 0, end: int = 2**63
) -> tuple[str, int, int, int] | None:
    """Return worker, first, last and count of a block's numbers in a range; None without any."""
    ones = int(powers) >> max(0, begin - block) << max(0, begin - block)
    ones &= (1 << max(0, min(_BLOCK, end - block + 1))) - 1
    if not ones:
        return None
    first, last = (ones & -ones).bit_length() - 1, ones.bit_length() - 1
    return worker, block + first, block + last, ones.bit_count()


def _query_distinct(numbers: ir.Table, ranges: ir.Table | None) -> pd.DataFrame:
    """Count the distinct numbers by a query, where some are repeated."""
    if ranges is not None:
        numbers = numbers.inner_join(ranges, "worker")
        numbers = numbers.filter(_.sequence >= _.begin, _.sequence <= _.end)
    different = numbers.select("worker", "sequence").distinct().group_by("worker")
    counts = different.agg(first=_.sequence.min(), last=_.sequence.max(), n=_.count())
    return fetched(counts, WORKERS)
