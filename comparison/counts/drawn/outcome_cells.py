"""The cells of an outcome: units counted by time, rollout, place, arm, flip and what happened."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.bins import real
from comparison.counts.reproducible_sums import share_sum
from comparison.engines.grouping import fetched
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from flags.gate.blocks import EPOCH

CELLS: Final = {
    "block": "int64",
    "rollout": "float64",
    "low": "float64",
    "high": "float64",
    "candidate": "int64",
    "flipped": "Int64",
    "on_flips": "int64",
    "total": "int64",
}
"""Columns of the cells, each but for the count `n`.

`block` numbers the blocks of time in which units were first seen, `low` and `high` bound their
place.
"""

NOVELTY: Final = {"days": "int64", "rollout": "float64", "candidate": "int64"}

_DAY: Final = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """Hold the cells of one metric; `on_flips` and `total` are levels, out of `levels`."""

    cells: pd.DataFrame
    novelty: pd.DataFrame
    levels: int
    block: timedelta
    """Size of the blocks of time, which are numbered from `EPOCH`."""
    used: int = 0
    without_pair: int = 0
    strange_units: int = 0
    """Of those, the ones that name a unit and no request."""
    outside: int = 0
    early: int = 0
    """Of these, outcomes of a request that are dated before it."""
    young: int = 0
    units: int = 0
    mixed: int = 0


def with_sums(source: PairSource, units: ir.Table, happened: ir.Table, most: float) -> ir.Table:
    """Add to units what happened to them, on flips and in all; to most, nothing did.

    Beyond `most`, nothing counts.
    """
    value = ibis.ifelse(_.value > real(most), real(most), _.value)
    sums = happened.group_by("unit", "rollout").agg(
        on_flips=share_sum(ibis.ifelse(_.on_flip, value, real(0.0)), most),
        total=share_sum(value, most),
    )
    sums = source.cached(sums.rename(sum_unit="unit", sum_rollout="rollout"))
    both = units.left_join(sums, [units.unit == sums.sum_unit, units.rollout == sums.sum_rollout])
    return both.drop("sum_unit", "sum_rollout")


def cells_of(units: ir.Table, most: float, levels: int, block: timedelta) -> ir.Table:
    """Count units by time, rollout, place, arm, flip, and what happened: on flips, and in all."""
    return units.group_by(
        "rollout",
        "low",
        "high",
        "flipped",
        block=(_.first - nanoseconds(EPOCH)) // (block // timedelta(microseconds=1) * 1_000),
        candidate=_.arm,
        on_flips=_level(_.on_flips, most, levels),
        total=_level(_.total, most, levels),
    ).agg(n=_.count())


def novelty_of(on_flips: ir.Table, known: ir.Table) -> pd.DataFrame:
    """Count what happened on flips by how many days the unit had been known.

    `known` has the units, and `first`, when they were seen.
    """
    began = known.semi_join(on_flips, "unit").group_by("unit").agg(began=_.first.min())
    aged = on_flips.inner_join(began, "unit")
    days = ibis.ifelse(_.at > _.began, (_.at - _.began) // _DAY, 0)
    counts = aged.group_by(days=days, rollout=_.rollout, candidate=_.arm).agg(n=_.count())
    return fetched(counts, NOVELTY)


def no_novelty() -> pd.DataFrame:
    """Return that table without rows."""
    return pd.DataFrame({name: [] for name in (*NOVELTY, "n")})


def _level(value: Any, most: float, levels: int) -> Any:
    """Return a sum as a whole number of levels, `levels` at most."""
    known = value.fill_null(real(0.0))
    capped = ibis.ifelse(known > real(most), real(most), known)
    # Not by round: engines differ in what they make of a half.
    return (capped * real(levels / most) + real(0.5)).floor().cast("int64")
