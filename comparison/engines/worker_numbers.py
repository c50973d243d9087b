"""Counts of the numbers that workers gave their pairs, and the account that they make."""

from datetime import datetime
from typing import Final, Protocol

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.engines.embedded import table_behind
from comparison.engines.grouping import HOUR, WORKERS, fetched, framed
from comparison.engines.mergeable import MergeableCounts
from comparison.pairs.accounting import Accounting, account_counts
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.workers import Numbers

_BLOCK: Final = 32
_PARTS: Final = {"worker": "string", "block": "int64", "powers": "float64", "n": "int64"}
_SPANS: Final = {"begin": "int64", "end": "int64"}
_MADE: Final = {
    "flag": "string",
    "worker": "string",
    "n": "int64",
    "last": "int64",
    "negative": "int64",
}


class CountedPairs(Protocol):
    """Show pairs, and count them."""

    def table(self, since: datetime | None = None, until: datetime | None = None) -> ir.Table:
        """Return the pairs of a window."""

    def counted(
        self,
        counts: MergeableCounts,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> ir.Table:
        """Return the counts of a window."""


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
"""Pairs by flag, worker and hour: how many, the least and the largest number, the time of the last
one, how many durations are below zero."""


def made_by(source: CountedPairs) -> ir.Table:
    """Return `n` pairs by flag and worker, the time of the `last` one, and `negative` durations."""
    return _made(source.counted(HOURS))


def flags_made(source: CountedPairs) -> list[str]:
    """Return the flags of which there are pairs, in order."""
    hours = source.counted(HOURS)
    held = table_behind(hours)
    flags = hours.select("flag").distinct().to_pyarrow() if held is None else held
    return sorted(flags["flag"].unique().drop_null().to_pylist())


def _made(hours: ir.Table) -> ir.Table:
    sums = {"n": _.n.sum(), "last": _.latest.max(), "negative": _.negative.sum()}
    return hours.group_by("flag", "worker").agg(**sums)


def numbered(pairs: ir.Table) -> ir.Table:
    """Return worker and number of the pairs that carry both."""
    return pairs.filter(_.sequence > 0, _.worker.notnull()).select("worker", "sequence")


def _blocks(pairs: ir.Table) -> ir.Table:
    place = (_.sequence % _BLOCK).cast("float64")
    begin = _.sequence - _.sequence % _BLOCK
    return numbered(pairs).select("worker", block=begin, powers=2.0**place)


NUMBERS: Final = MergeableCounts(
    "numbers", _blocks, ("worker", "block"), {"powers": "sum", "n": "sum"}
)
"""The numbers that workers gave their pairs, as `distinct_numbers` takes them."""

SPANS: Final = MergeableCounts(
    "spans",
    lambda pairs: numbered(pairs).select("worker", begin=_.sequence, end=_.sequence),
    ("worker",),
    {"begin": "least", "end": "largest"},
)
"""The least and the largest number of each worker's pairs."""


def account_source(
    source: CountedPairs, duplicates: int, counts: ReadCounts, *, once: bool = True
) -> Accounting:
    """Set the pairs of a place against what the workers say they made, which `counts` holds.

    `once` says that no pair is there twice: only then a number that comes twice is told.
    """
    blocks = source.counted(NUMBERS)
    return _account(made_by(source), source.table(), blocks, duplicates, counts, once=once)


def account_table(pairs: ir.Table, duplicates: int, counts: ReadCounts) -> Accounting:
    """Do the same for the pairs of a table."""
    return _account(_made(HOURS.of(pairs)), pairs, NUMBERS.of(pairs), duplicates, counts)


def _account(
    made_by_flag: ir.Table,
    pairs: ir.Table,
    blocks: ir.Table,
    duplicates: int,
    counts: ReadCounts,
    *,
    once: bool = True,
) -> Accounting:
    made = framed(made_by_flag, _MADE)
    numbers = distinct_numbers(pairs, blocks=blocks)
    is_asked = once and made["n"].sum() > numbers["n"].sum()
    again = _renumbered(blocks, numbers) if is_asked else {}
    last, flags = made.groupby("worker")["last"].max(), flags_by_worker(made)
    return account_counts(
        int(made["n"].sum()),
        {str(flag): int(n) for flag, n in made.groupby("flag")["n"].sum().items()},
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
        int(made["negative"].sum()),
    )


def _renumbered(blocks: ir.Table, numbers: pd.DataFrame) -> dict[str, int]:
    """Return, by worker, how many pairs have the number of another one."""
    pairs = framed(blocks.group_by("worker").agg(n=_.n.sum()), {"worker": "string", "n": "int64"})
    again = pairs.set_index("worker")["n"] - numbers.set_index("worker")["n"]
    return {str(worker): int(n) for worker, n in again.items()}


def flags_by_worker(made: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return, by worker, the flags that stand beside it in a table."""
    return {
        str(worker): tuple(sorted({str(flag) for flag in flags.dropna()}))
        for worker, flags in made.groupby("worker")["flag"]
    }


def distinct_numbers(
    pairs: ir.Table, spans: ir.Table | None = None, *, blocks: ir.Table | None = None
) -> pd.DataFrame:
    """Return, per worker, the first and the last number, and how many different ones there are.

    With `spans` (worker, begin, end), only of the workers in it, and from begin to end. `blocks`
    are `NUMBERS` of `pairs`, if they have been counted.

    Numbers are taken in blocks of 32, and each block is added up as powers of two. A sum of n of
    them has n ones in binary if, and only if, they all differ. So an engine need not keep every
    number to see that none comes twice; only if one does, it is asked for the different ones.
    """
    blocks = NUMBERS.of(pairs) if blocks is None else blocks
    full = (_.n == _BLOCK) & (_.powers == 2.0**_BLOCK - 1)
    if spans is not None:  # joined with blocks: there are fewer of them than numbers
        blocks = blocks.inner_join(spans, "worker")
        blocks = blocks.filter(_.block + _BLOCK > _.begin, _.block <= _.end)
        full &= (_.block >= _.begin) & (_.block + _BLOCK - 1 <= _.end)
    part = framed(blocks.filter(~full), _PARTS if spans is None else {**_PARTS, **_SPANS})
    different = [int(powers).bit_count() for powers in part["powers"]]
    if not np.array_equal(different, part["n"]):
        return _each_once(numbered(pairs), spans)
    whole = blocks.filter(full).group_by("worker")
    sums = whole.agg(first=_.block.min(), last=_.block.max() + _BLOCK - 1, n=_.n.sum())
    rows = [_inside(*row) for row in part.itertuples(index=False)]
    dtypes = {**WORKERS, "n": "int64"}
    joined = pd.concat(
        [framed(sums, dtypes), pd.DataFrame(filter(None, rows), columns=list(dtypes))]
    )
    counts = joined.groupby("worker", as_index=False).agg(
        {"first": "min", "last": "max", "n": "sum"}
    )
    return counts[list(dtypes)].astype(dtypes)


def _inside(
    worker: str, block: int, powers: float, _n: int, begin: int = 0, end: int = 2**63
) -> tuple[str, int, int, int] | None:
    """Return the first, the last and the number of the numbers of a block within a span."""
    ones = int(powers) >> max(0, begin - block) << max(0, begin - block)
    ones &= (1 << max(0, min(_BLOCK, end - block + 1))) - 1
    if not ones:
        return None
    first, last = (ones & -ones).bit_length() - 1, ones.bit_length() - 1
    return worker, block + first, block + last, ones.bit_count()


def _each_once(numbers: ir.Table, spans: ir.Table | None) -> pd.DataFrame:
    """Count the different ones where some come twice."""
    if spans is not None:
        numbers = numbers.inner_join(spans, "worker")
        numbers = numbers.filter(_.sequence >= _.begin, _.sequence <= _.end)
    different = numbers.select("worker", "sequence").distinct().group_by("worker")
    counts = different.agg(first=_.sequence.min(), last=_.sequence.max(), n=_.count())
    return fetched(counts, WORKERS)
