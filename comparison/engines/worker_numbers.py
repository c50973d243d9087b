"""Counts of the numbers that workers gave their pairs, and the account that they make."""

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.engines.grouping import WORKERS, count_by, fetched, framed
from comparison.pairs.accounting import Accounting, Numbers, account_counts
from comparison.pairs.files import ReadCounts

_BLOCK = 32


def account_table(pairs: ir.Table, duplicates: int, counts: ReadCounts) -> Accounting:
    """Set the pairs of a table against what the workers say they made, which `counts` holds."""
    flags = count_by(pairs, flag=_.flag).to_pyarrow().to_pylist()
    workers = distinct_numbers(numbered(pairs))
    last = pairs.filter(_.worker.notnull()).group_by("worker").agg(last=_.time.max())
    times = {str(row["worker"]): int(row["last"]) for row in last.to_pyarrow().to_pylist()}
    return account_counts(
        sum(row["n"] for row in flags),
        {row["flag"]: row["n"] for row in flags if row["flag"] is not None},
        {
            str(worker): Numbers(int(first), int(last), int(found), times[str(worker)])
            for worker, first, last, found in workers.itertuples(index=False)
        },
        duplicates,
        counts,
        _negative(pairs),
    )


def _negative(pairs: ir.Table) -> int:
    """Count the pairs with a duration below zero."""
    found = pairs.filter((_.primary_duration < 0) | (_.candidate_duration < 0))
    return int(found.agg(n=_.count()).to_pyarrow()["n"][0].as_py())


def numbered(pairs: ir.Table) -> ir.Table:
    """Return worker and number of the pairs that carry both."""
    return pairs.filter(_.sequence > 0, _.worker.notnull()).select("worker", "sequence")


def distinct_numbers(numbers: ir.Table) -> pd.DataFrame:
    """Return, per worker, the first and the last number, and how many different ones there are.

    Numbers are taken in blocks of 32, and each block is added up as powers of two. A sum of n of
    them has n ones in binary if, and only if, they all differ. So an engine need not keep every
    number to see that none comes twice; only if one does, it is asked for the different ones.
    """
    place = (_.sequence % _BLOCK).cast("float64")
    blocks = numbers.group_by(worker=_.worker, block=_.sequence - _.sequence % _BLOCK).agg(
        first=_.sequence.min(),
        last=_.sequence.max(),
        powers=(2.0**place).sum(),
        n=_.count(),
    )
    full = (_.n == _BLOCK) & (_.powers == 2.0**_BLOCK - 1)
    whole = blocks.filter(full).group_by("worker")
    part = framed(blocks.filter(~full), {**WORKERS, "powers": "float64", "n": "int64"})
    ones = [int(powers).bit_count() for powers in part["powers"]]
    if not np.array_equal(ones, part["n"]):
        different = numbers.distinct().group_by("worker")
        return fetched(
            different.agg(first=_.sequence.min(), last=_.sequence.max(), n=_.count()), WORKERS
        )
    sums = framed(
        whole.agg(first=_.first.min(), last=_.last.max(), n=_.n.sum()), {**WORKERS, "n": "int64"}
    )
    joined = pd.concat([sums, part.drop(columns="powers")])
    counts = joined.groupby("worker", as_index=False).agg(
        {"first": "min", "last": "max", "n": "sum"}
    )
    return counts[[*WORKERS, "n"]].astype({**WORKERS, "n": "int64"})
