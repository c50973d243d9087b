"""The cells of an outcome: units counted by time, rollout, place, arm, flip and outcome."""

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
"""Columns of the cells, without the count `n`.

`block` is the number of the block of time in which the units were first seen; `low` and `high` are
bounds of their place between 0 and 100, see `comparison.counts.drawn.pairs`.
"""

NOVELTY: Final = {"days": "int64", "rollout": "float64", "candidate": "int64"}

_DAY: Final = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """The cells of one metric; `on_flips` and `total` are levels from 0 to `levels`."""

    cells: pd.DataFrame
    novelty: pd.DataFrame
    levels: int
    block: timedelta
    """Size of the blocks of time, which are numbered from `EPOCH`."""
    used: int = 0
    """Outcomes in the cells."""
    without_pair: int = 0
    """Outcomes whose request or unit has no pair."""
    unknown_units: int = 0
    """Those of `without_pair` that name a unit and no request."""
    outside_period: int = 0
    """Outcomes before the first request or after the cut-off."""
    early: int = 0
    """Those of `outside_period` that are dated before their request."""
    young_requests: int = 0
    """Requests that are not old enough."""
    units: int = 0
    mixed: int = 0
    """Units that saw both sides; they are not in the cells."""


def with_sums(source: PairSource, units: ir.Table, happened: ir.Table, cap: float) -> ir.Table:
    """Add to units the sums of their outcomes, on flips and in total; missing if they have none.

    A single value is capped at `cap`.
    """
    value = ibis.ifelse(_.value > real(cap), real(cap), _.value)
    sums = happened.group_by("unit", "rollout").agg(
        on_flips=share_sum(ibis.ifelse(_.on_flip, value, real(0.0)), cap),
        total=share_sum(value, cap),
    )
    sums = source.cached(sums.rename(sum_unit="unit", sum_rollout="rollout"))
    both = units.left_join(sums, [units.unit == sums.sum_unit, units.rollout == sums.sum_rollout])
    return both.drop("sum_unit", "sum_rollout")


def cells_of(units: ir.Table, cap: float, levels: int, block: timedelta) -> ir.Table:
    """Count units by time, rollout, place, arm, flip, and the levels of both sums of outcomes."""
    return units.group_by(
        "rollout",
        "low",
        "high",
        "flipped",
        block=(_.first - nanoseconds(EPOCH)) // (block // timedelta(microseconds=1) * 1_000),
        candidate=_.arm,
        on_flips=_level(_.on_flips, cap, levels),
        total=_level(_.total, cap, levels),
    ).agg(n=_.count())


def novelty_of(on_flips: ir.Table, known: ir.Table) -> pd.DataFrame:
    """Count outcomes on flips by the days since the unit was first seen.

    `known` has the units, and the times `first` when they were seen.
    """
    began = known.semi_join(on_flips, "unit").group_by("unit").agg(began=_.first.min())
    aged = on_flips.inner_join(began, "unit")
    days = ibis.ifelse(_.at > _.began, (_.at - _.began) // _DAY, 0)
    counts = aged.group_by(days=days, rollout=_.rollout, candidate=_.arm).agg(n=_.count())
    return fetched(counts, NOVELTY)


def no_novelty() -> pd.DataFrame:
    """Return the table of `novelty_of` without rows."""
    return pd.DataFrame({name: [] for name in (*NOVELTY, "n")})


def _level(value: Any, cap: float, levels: int) -> Any:
    """Round a sum to a whole number of levels, from 0 to `levels`."""
    known = value.fill_null(real(0.0))
    capped = ibis.ifelse(known > real(cap), real(cap), known)
    # Not by `round`: engines round a half differently.
    return (capped * real(levels / cap) + real(0.5)).floor().cast("int64")
