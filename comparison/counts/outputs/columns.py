"""The outputs that have scores, and the columns of pairs that are read for an output."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from sys import float_info
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.bins import real
from comparison.counts.counted_window import CountedWindow
from comparison.engines.grouping import fetched_table
from comparison.engines.mergeable import MergeableCounts
from comparison.engines.sources import scored_outputs
from comparison.pairs.sides import SIDES

SEGMENT = "segment."

_COUNTED = (SEGMENT, *(f"{side}_score." for side in SIDES))


def recorded_counts(window: CountedWindow) -> dict[str, int]:
    """Count the pairs (`n`), and how many of them have each segment, each score and `drawn`.

    `last` is the time of the last pair, `span` the time from the first to the last, in nanoseconds.
    """
    names = [name for name in window.columns if name.startswith(_COUNTED) or name == "drawn"]

    def rows(pairs: ir.Table) -> ir.Table:
        there = {f"n{place}": _[name].notnull().cast("int64") for place, name in enumerate(names)}
        return pairs.select(first=_.time, last=_.time, **there)

    figures = {f"n{place}": "sum" for place in range(len(names))}
    measures = {"n": "sum", "first": "least", "last": "largest", **figures}
    counts = MergeableCounts("recorded", rows, (), measures, tuple(names))
    [row] = fetched_table(window.count_evidence(counts)).to_pylist()
    found = {name: row[f"n{place}"] or 0 for place, name in enumerate(names)}
    last = row["last"] or 0
    return {"n": row["n"] or 0, "last": last, "span": last - (row["first"] or 0), **found}


def outputs_of(
    columns: Sequence[str], wanted: Sequence[str] | None, recorded: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the wanted outputs, by default all that have scores, in the order of columns."""
    if wanted is not None:
        return tuple(wanted)
    return tuple(
        name
        for name in scored_outputs(columns)
        if any(recorded.get(f"{side}_score.{name}") for side in SIDES)
    )


def is_finite(value: Any) -> Any:
    """Return whether a number is finite: not NaN and not infinite; missing stays missing.

    Engines order NaN differently, but none puts it between two finite numbers.
    """
    return (value >= -float_info.max) & (value <= float_info.max)


def are_finite(*values: Any) -> Any:
    """Return whether all numbers are finite; false if one is missing."""
    return ibis.and_(*(is_finite(value).fill_null(False) for value in values))


def both_ok(pairs: ir.Table) -> ir.Table:
    """Keep the pairs with the status `ok` on both sides."""
    return pairs.filter(_.primary_status == "ok", _.candidate_status == "ok")


def with_columns(pairs: ir.Table, columns: Sequence[str], kind: str) -> ir.Table:
    """Add the columns that were never recorded, all missing."""
    absent = {name: ibis.null(kind) for name in columns if name not in pairs.columns}
    return pairs.mutate(**absent) if absent else pairs


@dataclass(frozen=True, slots=True)
class OutputColumns:
    """The columns of one output of `pairs`; a column that was never recorded is missing.

    Thresholds that are `given`, by side, replace the recorded thresholds and decisions.
    """

    pairs: ir.Table
    name: str
    given: Mapping[str, float] = field(default_factory=dict)
    alarms_below: bool = False
    """Whether a score below its threshold is an alarm."""

    def of(self, pairs: ir.Table) -> "OutputColumns":
        """Read the same output of other pairs."""
        return replace(self, pairs=pairs)

    def score(self, side: str) -> Any:
        """Return the score of a side."""
        return self._recorded(f"{side}_score", "float64")

    def threshold(self, side: str) -> Any:
        """Return the threshold of a side: the given one, else the recorded one."""
        if side in self.given:
            return real(self.given[side])
        return self._recorded(f"{side}_threshold", "float64")

    def decision(self, side: str) -> Any:
        """Return whether a side raised an alarm."""
        if side not in self.given:
            return self._recorded(f"{side}_decision", "boolean")
        score, threshold = self.score(side), real(self.given[side])
        alarm = score < threshold if self.alarms_below else score >= threshold
        return ibis.ifelse(is_finite(score), alarm, None)

    def recorded(self, **others: Any) -> ir.Table:
        """Select scores, thresholds, decisions and statuses of both sides."""
        columns = {
            f"{side}_{name}": column(side)
            for side in SIDES
            for name, column in (
                ("score", self.score),
                ("threshold", self.threshold),
                ("decision", self.decision),
            )
        }
        return self.pairs.select(*(f"{side}_status" for side in SIDES), **columns, **others)

    def prepared(self, place: int) -> Iterator[tuple[str, Any]]:
        """Yield the columns of `PreparedPairs.table`: scores and decisions, numbered by `place`."""
        status = {side: self.pairs[f"{side}_status"] == "ok" for side in SIDES}
        scores = [self.score(side) for side in SIDES]
        scored = are_finite(*scores) & status["primary"] & status["candidate"]
        for side in SIDES:
            score = self.score(side)
            yield f"{side}_score{place}", ibis.ifelse(scored, score, None)
            decided = status[side] & is_finite(score)
            yield f"{side}_decision{place}", ibis.ifelse(decided, self.decision(side), None)

    def _recorded(self, what: str, kind: str) -> Any:
        name = f"{what}.{self.name}"
        return self.pairs[name] if name in self.pairs.columns else ibis.null(kind)


def columns_of(
    window: CountedWindow,
    pairs: ir.Table,
    outputs: Sequence[str],
    given: Mapping[str, Mapping[str, float]],
) -> list[OutputColumns]:
    """Return the columns of outputs; `given` thresholds, by output and side, replace recorded ones.

    For given thresholds, the recorded alarms show on which side of a threshold the alarms are.
    """
    recorded = {name: OutputColumns(pairs, name) for name in outputs}
    anew = [name for name in outputs if given.get(name)]
    below = dict(zip(anew, _are_below(window, [recorded[name] for name in anew]), strict=True))
    return [
        replace(each, given=given.get(name, {}), alarms_below=below.get(name, False))
        for name, each in recorded.items()
    ]


def _are_below(window: CountedWindow, outputs: Sequence[OutputColumns]) -> list[bool]:
    """Return, by output, whether most recorded alarms have scores below their thresholds."""
    if not outputs:
        return []

    def rows(pairs: ir.Table) -> ir.Table:
        held: dict[str, Any] = {}
        for place, each in enumerate(output.of(pairs) for output in outputs):
            alarm = each.decision("primary").fill_null(False)
            low = (each.score("primary") < each.threshold("primary")).fill_null(False)
            held |= {f"n{place}": alarm.cast("int64"), f"low{place}": (alarm & low).cast("int64")}
        return pairs.select(**held)

    names = tuple(each.name for each in outputs)
    figures = [f"{figure}{place}" for place in range(len(names)) for figure in ("n", "low")]
    counts = MergeableCounts("below", rows, (), dict.fromkeys(figures, "sum"), names)
    [row] = fetched_table(window.count_evidence(counts)).to_pylist()
    found = [(row[f"n{place}"] or 0, row[f"low{place}"] or 0) for place in range(len(names))]
    return [bool(n) and 2 * int(low) > int(n) for n, low in found]
