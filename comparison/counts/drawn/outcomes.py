"""Count outcomes (what happened downstream) by the side that the flag assigned.

Like `comparison.counts.aggregate`, it uses expressions that mean the same in every engine. An
outcome is joined with its request or unit among `DrawnPairs`; the units are then counted as cells.
"""

from collections.abc import Sequence
from typing import Any, Final

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.drawn.outcome_cells import (
    CELLS,
    OutcomeCounts,
    cells_of,
    no_novelty,
    novelty_of,
    with_sums,
)
from comparison.counts.drawn.pairs import (
    DrawnPairs,
    RolloutRun,
    is_mixed,
    sizes_of,
)
from comparison.counts.outputs.columns import with_columns
from comparison.counts.reproducible_sums import summed_by
from comparison.engines.grouping import fetched, row_count
from comparison.engines.tables import nanoseconds
from comparison.outcomes import MetricRows
from flags.playbook.outcomes import OutcomePlan

LEVELS: Final = 64
"""Levels to which a continuous outcome is rounded."""

QUANTILE: Final = 0.999
"""Quantile of a continuous outcome in the shadow stage, which caps the sum of one unit."""

SKEW: Final = 60 * 1_000_000_000
"""Nanoseconds by which the clock of an outcome may be behind that of its request."""


def count_outcomes(
    drawn: DrawnPairs,
    rows: MetricRows,
    plan: OutcomePlan,
    cap: float,
    runs: Sequence[RolloutRun],
) -> OutcomeCounts:
    """Count the outcomes of one metric; the sum of a unit is capped at `cap`."""
    late = int(plan.cut_off.total_seconds() * 1e9)
    outcomes = drawn.source.cached(rows.table())
    old = drawn.old_enough(plan.cut_off, runs if plan.by == "unit" else ())
    units = drawn.source.cached(drawn.units(old))
    if plan.by == "unit":
        matched = _by_unit(outcomes, drawn.requests, units, late)
    else:
        matched = _by_request(outcomes, old, late)
    matched = drawn.source.cached(matched)
    levels = LEVELS if plan.kind == "continuous" else max(1, round(cap))
    sizes = sizes_of(units)
    inside = matched.filter(_.inside)
    happened = with_sums(drawn.source, units.filter(~is_mixed()), inside, cap)
    unknown_units = _count_unknown_units(outcomes, drawn.all_pairs)
    on_flips = inside.filter(_.on_flip, _.value > 0)
    return OutcomeCounts(
        cells=fetched(cells_of(happened, cap, levels, sizes.block), CELLS),
        novelty=novelty_of(on_flips, drawn.requests) if drawn.has_units else no_novelty(),
        levels=levels,
        block=sizes.block,
        used=row_count(inside),
        without_pair=_count_unknown_requests(outcomes, drawn.all_pairs) + unknown_units,
        unknown_units=unknown_units,
        outside_period=row_count(matched.filter(~_.inside)),
        early=row_count(matched.filter(_.early)) if plan.by == "request" else 0,
        young_requests=row_count(drawn.requests) - row_count(old),
        units=sizes.units,
        mixed=sizes.mixed,
    )


def shadow_quantile(drawn: DrawnPairs, rows: MetricRows) -> float | None:
    """Return `QUANTILE` of the outcomes by request in the shadow stage; None without outcomes."""
    outcomes = rows.table()
    early = drawn.all_pairs.filter(_.rollout == 0, _.time < nanoseconds(drawn.now))
    shadow = early.select("request_id").distinct()
    found = outcomes.inner_join(shadow, outcomes.outcome_id == shadow.request_id)
    values = summed_by(found, {"value": _.value}, {"request_id": "string"})["value"]
    values = values[values > 0]
    return None if values.empty else float(values.quantile(QUANTILE))


def _by_request(outcomes: ir.Table, old: ir.Table, late: int) -> ir.Table:
    """Join outcomes with their requests: unit, rollout, arm, value, whether on a flip."""
    found = outcomes.inner_join(old, outcomes.outcome_id == old.request_id)
    return found.select(
        "unit",
        "rollout",
        "value",
        arm=_.low,
        at=_.first,
        on_flip=(_.flip == 1).fill_null(False),
        early=(_.occurred < _.first - SKEW).fill_null(False),
        inside=_inside(_.occurred, _.first, _.first, late),
    )


def _by_unit(outcomes: ir.Table, requests: ir.Table, units: ir.Table, late: int) -> ir.Table:
    """Join outcomes with their units, or with the units of the requests that they name."""
    requests = requests.select("request_id", of_request=_.unit)
    named = outcomes.left_join(requests, outcomes.outcome_id == requests.request_id)
    named = named.mutate(owner=ibis.coalesce(_.outcome_unit, _.of_request))
    found = named.select("owner", "value", "occurred").inner_join(units, _.owner == units.unit)
    since = found.flipped_at.fill_null(found.first)
    return found.select(
        "unit",
        "rollout",
        "value",
        "arm",
        at=_.occurred,
        on_flip=_.flipped_at.notnull() & (_.occurred >= _.flipped_at - SKEW),
        inside=_inside(_.occurred, _.first, since, late),
    )


def _inside(occurred: Any, first: Any, since: Any, late: int) -> Any:
    """Return whether an outcome came after the first request and before the cut-off."""
    inside = occurred >= first - SKEW
    if late:
        inside &= occurred < since + late
    return inside.fill_null(True)


def _count_unknown_requests(outcomes: ir.Table, pairs: ir.Table) -> int:
    """Count the outcomes whose request id has no pair of any time."""
    ids = pairs.select("request_id").distinct()
    named = outcomes.filter(_.outcome_id.notnull())
    return row_count(named.anti_join(ids, named.outcome_id == ids.request_id))


def _count_unknown_units(outcomes: ir.Table, pairs: ir.Table) -> int:
    """Count the outcomes that name only a unit, and whose unit has no pair of any time."""
    named = outcomes.filter(_.outcome_id.isnull())
    units = with_columns(pairs, ["unit", "drawn"], "string")
    known = units.select(known=ibis.coalesce(_.drawn, _.unit)).distinct()
    return row_count(named.anti_join(known, named.outcome_unit == known.known))
