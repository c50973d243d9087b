"""The figures of one output, counted by the engine that holds the pairs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.bins import real
from comparison.counts.outputs.columns import SEGMENT, are_finite, with_columns
from comparison.counts.outputs.segments import SEGMENT_CODE, rows_by_segment, segments_of
from comparison.counts.quantiles import Quantiles
from comparison.counts.reproducible_sums import summed
from comparison.engines.grouping import CELLS, count_by, fetched, framed
from comparison.evidence.alarms import Alarms, SegmentTable, alarms_by, sum_alarms
from comparison.evidence.statistics import interval_of_mean
from comparison.pairs.sides import SIDES
from comparison.summary.figures import OutputFigures

_DECISIONS: Final = tuple(f"{side}_decision" for side in SIDES)
_COUNTS: Final = {"scored": "boolean", **dict.fromkeys(_DECISIONS, "boolean")}
_KINDS: Final = {"score": "float64", "threshold": "float64", "decision": "boolean"}


@dataclass(frozen=True, slots=True)
class CountedOutput:
    """One output of the pairs that both sides answered, and its counts by decisions."""

    name: str
    rows: ir.Table
    """Columns: both scores, thresholds and decisions, the segments, and `scored`."""
    counts: pd.DataFrame

    @classmethod
    def of(cls, paired: ir.Table, name: str) -> "CountedOutput":
        """Count an output of the pairs that both sides answered."""
        for what, kind in _KINDS.items():
            paired = with_columns(paired, [f"{side}_{what}.{name}" for side in SIDES], kind)
        columns = {
            f"{side}_{what}": paired[f"{side}_{what}.{name}"] for side in SIDES for what in _KINDS
        }
        rows = paired.select(*segments_of(paired), **columns)
        rows = rows.mutate(scored=are_finite(_.primary_score, _.candidate_score))
        return cls(
            name, rows, fetched(count_by(rows, **{each: _[each] for each in _COUNTS}), _COUNTS)
        )

    @property
    def is_decided(self) -> bool:
        """Return whether a side has a decision in any pair."""
        return bool(self.counts[list(_DECISIONS)].notna().any(axis=None))

    @property
    def scored(self) -> ir.Table:
        """Return the rows with a finite score of both sides."""
        return self.rows.filter(_.scored)

    @property
    def decided(self) -> ir.Table:
        """Return the scored rows with a decision of both sides."""
        return self.scored.filter(_.primary_decision.notnull(), _.candidate_decision.notnull())

    def values(self) -> Iterator[tuple[str, ir.Table]]:
        """Yield name and values of the columns with quantiles: scores and their differences."""
        for side in SIDES:
            yield side, self.scored.select(value=_[f"{side}_score"])
        difference = (_.candidate_score - _.primary_score).abs()
        yield "difference", self.scored.select(value=difference)

    def figures(self, quantiles: Mapping[str, Quantiles]) -> OutputFigures:
        """Return the figures; `quantiles` are those of the columns in `values`."""
        scored = self.counts["scored"].fillna(False).astype(bool)
        known = self.counts[list(_DECISIONS)].notna().all(axis=1)
        n = self.counts["n"]
        paired, with_scores, with_both = (
            int(each.sum()) for each in (n, n[scored], n[scored & known])
        )
        cells = self.counts.loc[scored & known].rename(
            columns=dict(zip(_DECISIONS, CELLS, strict=True))
        )
        mean, interval = _mean_difference(self.scored, with_scores)
        return OutputFigures(
            output=self.name,
            paired=paired,
            unscored=paired - with_scores,
            undecided=with_scores - with_both,
            scores={side: quantiles[side] for side in SIDES},
            differences=quantiles["difference"],
            mean_difference=mean,
            mean_interval=interval,
            thresholds={side: self._thresholds(side) for side in SIDES},
            alarms=Alarms.of(sum_alarms(cells)) if with_both else None,
            segments=self._segments(),
        )

    def _thresholds(self, side: str) -> tuple[float, ...]:
        thresholds = self.decided.select(value=_[f"{side}_threshold"]).distinct()
        found = framed(thresholds, {"value": "float64"})["value"]
        return tuple(sorted(set(found.dropna().tolist())))

    def _segments(self) -> tuple[SegmentTable, ...]:
        segments = segments_of(self.rows)
        if not segments:
            return ()
        alarms = dict(zip(CELLS, (_[name] for name in _DECISIONS), strict=True))
        rows = rows_by_segment(self.decided.select(*segments, **alarms), segments)
        by = {SEGMENT_CODE: "int64", "value": "string", **CELLS}
        counts = fetched(count_by(rows, **{name: _[name] for name in by}), by)
        found: list[SegmentTable] = []
        for code, table in counts.groupby(SEGMENT_CODE, sort=True):
            tables = [
                (None if pd.isna(v) else str(v), flips) for v, flips in alarms_by(table, "value")
            ]
            # Among equals, pairs without the segment come first, as in `in_memory`.
            tables.sort(key=lambda each: (-each[1].pairs, each[0] is not None))
            name = segments[int(str(code))].removeprefix(SEGMENT)
            found += [SegmentTable(name, value, Alarms.of(flips)) for value, flips in tables]
        return tuple(found)


def _mean_difference(scored: ir.Table, n: int) -> tuple[float | None, tuple[float, float] | None]:
    """Return the mean of the candidate's score minus the primary's, and its interval."""
    if not n:
        return None, None
    difference = _.candidate_score - _.primary_score
    mean = summed(scored, {"difference": difference})["difference"] / n
    deviation = difference - real(mean)
    squares = summed(scored, {"square": deviation * deviation})["square"]
    return mean, interval_of_mean(mean, squares, n)
