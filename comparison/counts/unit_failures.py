"""Count failures and fallbacks by unit: of its requests, how many failed, whatever their number.

Only units with a failure are grouped: of the others, it is enough to know how many there are.
"""

from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.outputs import with_columns
from comparison.counts.tables import UnitFailures
from comparison.engines.grouping import UNIT_FAILURES, count_by, fetched
from comparison.pairs.columns import CALLED, FAILED, SIDES


def failures_by_unit(step: ir.Table) -> UnitFailures:
    """Count the units of `step`; a pair without one stands for its request."""
    pairs = with_columns(with_columns(step, ["fallback"], "boolean"), ["active"], "string")
    status = {side: pairs[f"{side}_status"] for side in SIDES}
    called = _is_among(status["primary"], CALLED) & _is_among(status["candidate"], CALLED)
    active = (pairs.active == "candidate").fill_null(False)
    columns = {
        "called": called,
        "primary_failed": called & _is_among(status["primary"], FAILED),
        "candidate_failed": called & _is_among(status["candidate"], FAILED),
        "active": active,
        "fallbacks": active & pairs.fallback.fill_null(False),
    }
    rows = pairs.select(
        unit=pairs.unit,
        who=pairs.unit.fill_null(pairs.request_id),
        **{name: value.cast("int64") for name, value in columns.items()},
    )
    bad = rows.filter((_.primary_failed + _.candidate_failed + _.fallbacks) > 0)
    own = rows.semi_join(bad.select("who").distinct(), "who").group_by("who")
    units = own.agg(**{name: _[name].sum() for name in columns})
    return UnitFailures(
        called=_distinct(rows, "called"),
        active=_distinct(rows, "active"),
        failed=fetched(count_by(units, **{name: _[name] for name in columns}), UNIT_FAILURES),
    )


def _is_among(status: Any, values: frozenset[str]) -> Any:
    return status.isin(sorted(values)).fill_null(False)


def _distinct(rows: ir.Table, column: str) -> int:
    """Count the units of the rows in which a column is 1, and the rows without a unit."""
    [row] = (
        rows.filter(_[column] == 1)
        .agg(
            units=_.unit.nunique(),
            alone=ibis.ifelse(_.unit.isnull(), 1, 0).sum(),
        )
        .to_pyarrow()
        .to_pylist()
    )
    return int(row["units"] or 0) + int(row["alone"] or 0)
