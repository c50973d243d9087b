"""The outputs that pairs have scores of, and what is read of each pair for one of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from sys import float_info
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.bins import real
from comparison.engines.sources import scored_outputs
from comparison.pairs.columns import SIDES

SEGMENT = "segment."

_COUNTED = (SEGMENT, *(f"{side}_score." for side in SIDES))


def recorded_counts(step: ir.Table) -> dict[str, int]:
    """Count the pairs (`n`), and how many of them have each segment, each score and `drawn`.

    `span` are the nanoseconds from the first to the last.
    """
    names = [name for name in step.columns if name.startswith(_COUNTED) or name == "drawn"]
    figures = {f"n{place}": _[name].count() for place, name in enumerate(names)}
    ends = {"first": _.time.min(), "last": _.time.max()}
    [row] = step.agg(n=_.count(), **ends, **figures).to_pyarrow().to_pylist()
    counts = {name: row[f"n{place}"] for place, name in enumerate(names)}
    return {"n": row["n"], "span": (row["last"] or 0) - (row["first"] or 0), **counts}


def outputs_of(
    columns: Sequence[str], wanted: Sequence[str] | None, recorded: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the outputs that are wanted, or else have scores, in order of columns."""
    if wanted is not None:
        return tuple(wanted)
    return tuple(
        name
        for name in scored_outputs(columns)
        if any(recorded.get(f"{side}_score.{name}") for side in SIDES)
    )


def is_finite(value: Any) -> Any:
    """Say whether a number is none of NaN, infinite and missing.

    Engines order NaN differently, but none puts it between two finite numbers.
    """
    return (value >= -float_info.max) & (value <= float_info.max)


def both_ok(pairs: ir.Table) -> ir.Table:
    """Keep the pairs that both sides answered."""
    return pairs.filter(_.primary_status == "ok", _.candidate_status == "ok")


def with_columns(pairs: ir.Table, columns: Sequence[str], kind: str) -> ir.Table:
    """Add the columns that nobody ever recorded, all missing."""
    absent = {name: ibis.null(kind) for name in columns if name not in pairs.columns}
    return pairs.mutate(**absent) if absent else pairs


@dataclass(frozen=True, slots=True)
class OutputColumns:
    """Read an output of `pairs`; what nobody ever recorded is missing.

    Thresholds that are `given`, by side, stand in the place of those recorded, and decide anew.
    """

    pairs: ir.Table
    name: str
    given: Mapping[str, float] = field(default_factory=dict)
    alarms_below: bool = False
    """Whether a score below its threshold is an alarm."""

    @classmethod
    def of(cls, pairs: ir.Table, name: str, given: Mapping[str, float]) -> "OutputColumns":
        """Look at what was recorded for which side of a threshold the alarms are."""
        recorded = cls(pairs, name)
        return cls(pairs, name, given, recorded.is_recorded_below()) if given else recorded

    def is_recorded_below(self) -> bool:
        """Say whether most of what was recorded as alarms are scores below their thresholds."""
        alarms = self.pairs.select(
            is_alarm=self.decision("primary").fill_null(False),
            is_low=self.score("primary") < self.threshold("primary"),
        ).filter(_.is_alarm)
        [row] = alarms.agg(n=_.count(), low=_.is_low.sum()).to_pyarrow().to_pylist()
        return bool(row["n"]) and 2 * int(row["low"] or 0) > int(row["n"])

    def score(self, side: str) -> Any:
        """Return the score of a side."""
        return self._recorded(f"{side}_score", "float64")

    def threshold(self, side: str) -> Any:
        """Return the threshold that decides."""
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

    def is_scored(self) -> Any:
        """Say of which pairs both scores are known; missing counts as no."""
        primary, candidate = (is_finite(self.score(side)).fill_null(False) for side in SIDES)
        return primary & candidate

    def prepared(self, place: int) -> Iterator[tuple[str, Any]]:
        """Yield the columns of `PreparedPairs.table`: scores and decisions, numbered by `place`."""
        status = {side: self.pairs[f"{side}_status"] == "ok" for side in SIDES}
        scored = self.is_scored() & status["primary"] & status["candidate"]
        for side in SIDES:
            score = self.score(side)
            yield f"{side}_score{place}", ibis.ifelse(scored, score, None)
            said = status[side] & is_finite(score)
            yield f"{side}_said{place}", ibis.ifelse(said, self.decision(side), None)

    def _recorded(self, what: str, kind: str) -> Any:
        name = f"{what}.{self.name}"
        return self.pairs[name] if name in self.pairs.columns else ibis.null(kind)


@dataclass(frozen=True, slots=True)
class OutputPlace:
    """Read an output of prepared pairs, where its columns are numbered by a place."""

    pairs: ir.Table
    place: int

    def score(self, side: str) -> Any:
        """Return the score of a side, missing where either is."""
        return self.pairs[f"{side}_score{self.place}"]

    def said(self, side: str) -> Any:
        """Return the decision of a side, whatever became of the other."""
        return self.pairs[f"{side}_said{self.place}"]

    @property
    def alarms(self) -> dict[str, Any]:
        """Return the columns of the decisions of both sides."""
        return {f"{side}_alarm": self.said(side) for side in SIDES}

    @property
    def is_decided(self) -> Any:
        """Say of which pairs both decisions are known."""
        return self.said("primary").notnull() & self.said("candidate").notnull()

    @property
    def decided(self) -> ir.Table:
        """Keep those."""
        return self.pairs.filter(self.is_decided)

    @property
    def scored(self) -> ir.Table:
        """Keep the pairs of which both scores are known."""
        return self.pairs.filter(self.score("primary").notnull())
