"""Count failures and fallbacks by unit: of its requests, how many failed, whatever their number.

A pair without a unit stands for its request. Of these, only the ones with a failure are grouped: of
the others, it is enough to know how many there are.
"""

from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.counted_window import CountedWindow
from comparison.counts.outputs import with_columns
from comparison.counts.tables import UnitFailures
from comparison.engines.grouping import UNIT_FAILURES, count_by, fetched, stacked
from comparison.engines.mergeable import MergeableCounts
from comparison.pairs.columns import CALLED, FAILED, SIDES

_FAILURES: Final = ("primary_failed", "candidate_failed", "fallbacks")


def units_of(window: CountedWindow) -> ir.Table:
    """Return the units that pairs name: how many pairs, from when to when, what failed."""
    return window.source.kept(window.of_evidence(_UNITS))


def _named(pairs: ir.Table) -> ir.Table:
    named = _rows(pairs).filter(_.unit.notnull())
    return named.select("unit", *UNIT_FAILURES, first=_.time, last=_.time)


_UNITS: Final = MergeableCounts(
    "units",
    _named,
    ("unit",),
    {"n": "sum", "first": "least", "last": "largest", **dict.fromkeys(UNIT_FAILURES, "sum")},
)


def failures_by_unit(step: ir.Table, units: ir.Table, *, each_named: bool) -> UnitFailures:
    """Count the units of `step`, which are those of `units_of`, and its pairs without one.

    With `each_named`, it has none of these.
    """
    counted, found = [units], [units.filter(_failed())]
    if not each_named:
        alone = _rows(step).filter(_.unit.isnull())
        bad = alone.filter(_failed()).select("request_id").distinct()
        requests = alone.semi_join(bad, "request_id").group_by("request_id")
        counted.append(alone)
        found.append(requests.agg(**{name: _[name].sum() for name in UNIT_FAILURES}))
    failed = [
        fetched(count_by(rows, **{name: _[name] for name in UNIT_FAILURES}), UNIT_FAILURES)
        for rows in found
    ]
    counts = [_having(table) for table in counted]
    sums = stacked(failed, UNIT_FAILURES).groupby(list(UNIT_FAILURES), as_index=False)["n"].sum()
    return UnitFailures(
        called=sum(called for called, _active in counts),
        active=sum(active for _called, active in counts),
        failed=pd.DataFrame(sums).astype({**UNIT_FAILURES, "n": "int64"}),
    )


def _rows(step: ir.Table) -> ir.Table:
    """Reduce each pair to what counts, as 1 or 0."""
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
    whole = {name: value.cast("int64") for name, value in columns.items()}
    return pairs.select("unit", "request_id", "time", **whole)


def _failed() -> Any:
    return sum(_[name] for name in _FAILURES) > 0


def _is_among(status: Any, values: frozenset[str]) -> Any:
    return status.isin(sorted(values)).fill_null(False)


def _having(rows: ir.Table) -> tuple[int, int]:
    """Count the rows with a request that called both sides, and with one for the candidate."""
    figures = {name: ibis.ifelse(_[name] > 0, 1, 0).sum() for name in ("called", "active")}
    [row] = rows.agg(**figures).to_pyarrow().to_pylist()
    return int(row["called"] or 0), int(row["active"] or 0)
