"""Count failures and fallbacks by unit: of its requests, how many failed, whatever their number.

A pair without a unit stands for its request. Of these, only the ones with a failure are grouped: of
the others, it is enough to know how many there are.
"""

from dataclasses import replace
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.counted_window import CountedWindow
from comparison.counts.outputs import with_columns
from comparison.counts.tables import UnitFailures
from comparison.engines.grouping import UNIT_FAILURES, count_by, fetched, framed, stacked
from comparison.engines.mergeable import GroupSums, MergeableCounts
from comparison.pairs.sides import CALLED, FAILED, SIDES

_FAILURES: Final = ("primary_failed", "candidate_failed", "fallbacks")

_TEXTS: Final = ("active", "stickiness")

_HAVING: Final = ("called", "active")

_BECAME: Final = ("fallback", "active", *(f"{side}_status" for side in SIDES))
"""What became of a pair: to group by it, as it is, costs less than five sums for each unit."""


def units_of(window: CountedWindow) -> pd.DataFrame:
    """Count the units that pairs name, and their requests, by what became of these.

    Of units without a failure it is only told whether a request called both sides (`has_called`),
    and whether one was for the candidate (`has_active`); of the others the numbers of requests.
    """
    units = window.of_evidence(replace(UNITS, groups=_BY_FIGURES))
    return framed(units, dict.fromkeys((*_BY_FIGURES.by, *_BY_FIGURES.measures), "int64"))


def _by_figures(counts: ir.Table) -> ir.Table:
    rows = _figures(counts, "unit", "n")
    sums = {name: (_[name] * _.n).sum().cast("int64") for name in UNIT_FAILURES}
    units = rows.group_by("unit").agg(requests=_.n.sum(), **sums)
    failed = ibis.ifelse(_failed(), 1, 0).cast("int64")
    has = {f"has_{name}": ibis.ifelse(_[name] > 0, 1, 0).cast("int64") for name in _HAVING}
    units = units.mutate(failed=failed, units=ibis.literal(1, "int64"), **has)
    return units.mutate(**{name: _[name] * _.failed for name in UNIT_FAILURES})


def _named(pairs: ir.Table) -> ir.Table:
    return _recorded(pairs).filter(_.unit.notnull()).drop("request_id")


UNITS: Final = MergeableCounts("units", _named, ("unit", "by_field", *_BECAME))
"""Pairs by unit, whether the flag drew by a field of the request, and what became of them."""

_BY_FIGURES: Final = GroupSums(
    "figures",
    ("unit",),
    _by_figures,
    ("failed", *(f"has_{name}" for name in _HAVING), *UNIT_FAILURES),
    ("units", "requests"),
)


def failures_by_unit(step: ir.Table, units: pd.DataFrame, *, each_named: bool) -> UnitFailures:
    """Count the units of `step`, which are those of `units_of`, and its pairs without one.

    With `each_named`, it has none of these.
    """
    named = units.loc[units["failed"] == 1].rename(columns={"units": "n"})
    failed = [named[[*UNIT_FAILURES, "n"]]]
    called, active = (int(units.loc[units[f"has_{name}"] == 1, "units"].sum()) for name in _HAVING)
    if not each_named:
        alone = _figures(_recorded(step).filter(_.unit.isnull()), "request_id")
        bad = alone.filter(_failed()).select("request_id").distinct()
        requests = alone.semi_join(bad, "request_id").group_by("request_id")
        found = requests.agg(**{name: _[name].sum() for name in UNIT_FAILURES})
        counts = count_by(found, **{name: _[name] for name in UNIT_FAILURES})
        failed.append(fetched(counts, UNIT_FAILURES))
        of_alone = _having(alone)
        called, active = called + of_alone[0], active + of_alone[1]
    sums = stacked(failed, UNIT_FAILURES).groupby(list(UNIT_FAILURES), as_index=False)["n"].sum()
    return UnitFailures(
        called=called,
        active=active,
        failed=pd.DataFrame(sums).astype({**UNIT_FAILURES, "n": "int64"}),
    )


def _recorded(step: ir.Table) -> ir.Table:
    """Return what is needed of each pair, as it was recorded."""
    pairs = with_columns(with_columns(step, ["fallback"], "boolean"), _TEXTS, "string")
    fell = ibis.ifelse(pairs.fallback, 1, 0).cast("int8")
    by_field = ibis.ifelse(is_drawn_by_field(pairs), 1, 0).cast("int8")
    return pairs.select("unit", "request_id", *_BECAME[1:], fallback=fell, by_field=by_field)


def is_drawn_by_field(pairs: ir.Table) -> Any:
    """Say of a pair that the flag drew what the request names."""
    return pairs.stickiness.notnull() & (pairs.stickiness != "requestId")


def _figures(recorded: ir.Table, *others: str) -> ir.Table:
    """Return what counts of each row, as 1 or 0, besides some other columns."""
    status = {side: recorded[f"{side}_status"] for side in SIDES}
    called = _is_among(status["primary"], CALLED) & _is_among(status["candidate"], CALLED)
    active = (recorded.active == "candidate").fill_null(False)
    columns = {
        "called": called,
        "primary_failed": called & _is_among(status["primary"], FAILED),
        "candidate_failed": called & _is_among(status["candidate"], FAILED),
        "active": active,
        "fallbacks": active & (recorded.fallback == 1),
    }
    whole = {name: value.cast("int64") for name, value in columns.items()}
    return recorded.select(*others, **whole)


def _failed() -> Any:
    return sum(_[name] for name in _FAILURES) > 0


def _is_among(status: Any, values: frozenset[str]) -> Any:
    return status.isin(sorted(values)).fill_null(False)


def _having(rows: ir.Table) -> tuple[int, int]:
    """Count the rows with a request that called both sides, and with one for the candidate."""
    figures = {name: ibis.ifelse(_[name] > 0, 1, 0).sum() for name in _HAVING}
    [row] = rows.agg(**figures).to_pyarrow().to_pylist()
    return int(row["called"] or 0), int(row["active"] or 0)
