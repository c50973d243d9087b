"""Counts of the numbers that workers gave their pairs."""

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.engines.grouping import WORKERS, fetched, framed

_BLOCK = 32


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
