"""Count failures and fallbacks by unit: of its requests, how many failed, whatever their number.

A pair without a unit stands for its request. Of these, only the ones with a failure are grouped: of
the others, it is enough to know how many there are.
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
"""Of `became`, which says in one number what became of a pair: to group by five columns of texts
takes several times the memory."""


def units_of(window: CountedWindow) -> pd.DataFrame:
    """Count the units that pairs name, and their requests, by what became of these.

    Of units without a failure it is only told whether a request called both sides (`has_called`),
    and whether one was for the candidate (`has_active`); of the others the numbers of requests.
    """
    units = window.of_evidence(replace(UNITS, groups=_BY_FIGURES))
    return framed(units, dict.fromkeys((*_BY_FIGURES.by, *_BY_FIGURES.measures), "int64"))


def _by_figures(counts: ir.Table) -> ir.Table:
    sums = {name: (bit_of(name) * _.n).sum().cast("int64") for name in UNIT_FAILURES}
    units = counts.group_by("unit").agg(requests=_.n.sum(), **sums)
    failed = ibis.ifelse(_failed(), 1, 0).cast("int64")
    has = {f"has_{name}": ibis.ifelse(_[name] > 0, 1, 0).cast("int64") for name in _HAVING}
    units = units.mutate(failed=failed, units=ibis.literal(1, "int64"), **has)
    return units.mutate(**{name: _[name] * _.failed for name in UNIT_FAILURES})


def bit_of(name: str) -> Any:
    """Return whether something holds of the pairs of a row of `UNITS`, as 1 or 0."""
    return _.became // _BITS[name] % 2


def _named(pairs: ir.Table) -> ir.Table:
    recorded = _recorded(pairs).filter(_.unit.notnull())
    became: Any = sum(ibis.ifelse(value, _BITS[name], 0) for name, value in _became(recorded))
    return recorded.select(unit=grouping_key(recorded.unit), became=became.cast("int8"))


UNITS: Final = MergeableCounts("units", _named, ("unit", "became"))
"""Pairs by unit, and by what became of them: see `bit_of`.

Besides what is in the table of failures, `by_field`: the flag drew by a field of the request.
"""

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
    """Return pairs with all columns that are asked for here."""
    return with_columns(with_columns(step, ["fallback"], "boolean"), _TEXTS, "string")


def is_drawn_by_field(pairs: ir.Table) -> Any:
    """Say of a pair that the flag drew what the request names."""
    return pairs.stickiness.notnull() & (pairs.stickiness != "requestId")


def _became(recorded: ir.Table) -> Iterator[tuple[str, Any]]:
    """Yield what may have become of each pair, by name, as a truth that is never missing."""
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
    """Return the request of each pair, and what became of it, as 1 or 0."""
    whole = {name: value.cast("int64") for name, value in _became(recorded)}
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
