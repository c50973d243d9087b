"""Count failures and fallbacks by unit: how many requests a unit has, and how many of them failed.

The request of a pair without a unit counts as a unit. Of these requests, only those with a failure
are grouped; of the others only their number is needed.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.counted_window import CountedWindow
from comparison.counts.outputs.columns import with_columns
from comparison.counts.tables import UnitFailures
from comparison.engines.grouping import UNIT_FAILURES, count_by, fetched, framed, stacked
from comparison.engines.mergeable import GroupSums, MergeableCounts
from comparison.engines.text_functions import grouping_key
from comparison.pairs.sides import CALLED, FAILED, SIDES

_FAILURES: Final = ("primary_failed", "candidate_failed", "fallbacks")

_TEXTS: Final = ("active", "stickiness")

_HAVING: Final = ("called", "active")

_BITS: Final = {name: 2**place for place, name in enumerate((*UNIT_FAILURES, "by_field"))}
"""Bits of the column `fate`, which holds in one number what became of a pair: to group by five
columns of texts takes several times the memory."""


def units_of(window: CountedWindow) -> pd.DataFrame:
    """Count the units that pairs name, and their requests, by the fates of these requests.

    For a unit with a failure, the columns have the numbers of its requests. For the others they
    only tell whether a request called both sides (`has_called`), and whether one was for the
    candidate (`has_active`).
    """
    units = window.count_evidence(replace(UNITS, groups=_BY_FIGURES))
    return framed(units, dict.fromkeys((*_BY_FIGURES.by, *_BY_FIGURES.measures), "int64"))


def _by_figures(counts: ir.Table) -> ir.Table:
    sums = {name: (bit_of(name) * _.n).sum().cast("int64") for name in UNIT_FAILURES}
    units = counts.group_by("unit").agg(requests=_.n.sum(), **sums)
    failed = ibis.ifelse(_failed(), 1, 0).cast("int64")
    has = {f"has_{name}": ibis.ifelse(_[name] > 0, 1, 0).cast("int64") for name in _HAVING}
    units = units.mutate(failed=failed, units=ibis.literal(1, "int64"), **has)
    return units.mutate(**{name: _[name] * _.failed for name in UNIT_FAILURES})


def bit_of(name: str) -> Any:
    """Return a bit of `fate` of a row of `UNITS`, as 1 or 0."""
    return _.fate // _BITS[name] % 2


def _named(pairs: ir.Table) -> ir.Table:
    recorded = _recorded(pairs).filter(_.unit.notnull())
    fate: Any = sum(ibis.ifelse(value, _BITS[name], 0) for name, value in _fates(recorded))
    return recorded.select(unit=grouping_key(recorded.unit), fate=fate.cast("int8"))


UNITS: Final = MergeableCounts("units", _named, ("unit", "fate"))
"""Pairs by unit and `fate`, see `bit_of`.

The bits are the columns of the table of failures, and `by_field`: the flag drew by a field of the
request.
"""

_BY_FIGURES: Final = GroupSums(
    "figures",
    ("unit",),
    _by_figures,
    ("failed", *(f"has_{name}" for name in _HAVING), *UNIT_FAILURES),
    ("units", "requests"),
)


def failures_by_unit(step: ir.Table, units: pd.DataFrame, *, each_named: bool) -> UnitFailures:
    """Count failures by unit; `units` is the result of `units_of` for the pairs `step`.

    The requests of pairs without a unit are added, unless `each_named`: all pairs name a unit.
    """
    named = units.loc[units["failed"] == 1].rename(columns={"units": "n"})
    failed = [named[[*UNIT_FAILURES, "n"]]]
    called, active = (int(units.loc[units[f"has_{name}"] == 1, "units"].sum()) for name in _HAVING)
    if not each_named:
        alone = _figures(_recorded(step).filter(_.unit.isnull()))
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
    """Add the columns that are read here and may not be recorded, all missing."""
    return with_columns(with_columns(step, ["fallback"], "boolean"), _TEXTS, "string")


def is_drawn_by_field(pairs: ir.Table) -> Any:
    """Return whether the flag drew by a field of the request."""
    return pairs.stickiness.notnull() & (pairs.stickiness != "requestId")


def _fates(recorded: ir.Table) -> Iterator[tuple[str, Any]]:
    """Yield the possible fates of a pair, by name, as booleans that are never missing."""
    status = {side: recorded[f"{side}_status"] for side in SIDES}
    called = _is_among(status["primary"], CALLED) & _is_among(status["candidate"], CALLED)
    active = (recorded.active == "candidate").fill_null(False)
    yield "called", called
    yield "primary_failed", called & _is_among(status["primary"], FAILED)
    yield "candidate_failed", called & _is_among(status["candidate"], FAILED)
    yield "active", active
    yield "fallbacks", active & recorded.fallback.fill_null(False)
    yield "by_field", is_drawn_by_field(recorded) & recorded.active.notnull()


def _figures(recorded: ir.Table) -> ir.Table:
    """Return the request of each pair, and its fates as 1 or 0."""
    whole = {name: value.cast("int64") for name, value in _fates(recorded)}
    return recorded.select("request_id", **whole)


def _failed() -> Any:
    return sum(_[name] for name in _FAILURES) > 0


def _is_among(status: Any, values: frozenset[str]) -> Any:
    return status.isin(sorted(values)).fill_null(False)


def _having(rows: ir.Table) -> tuple[int, int]:
    """Count the rows with a request that called both sides, and with one for the candidate."""
    figures = {name: ibis.ifelse(_[name] > 0, 1, 0).sum() for name in _HAVING}
    [row] = rows.agg(**figures).to_pyarrow().to_pylist()
    return int(row["called"] or 0), int(row["active"] or 0)
