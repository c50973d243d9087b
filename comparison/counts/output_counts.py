"""Counts of the pairs of one output by scores, alarms, segments and labels."""

from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.counts.bins import grid_score
from comparison.counts.grids import OutputGrid
from comparison.counts.labelled import GIVEN, counting_label, coverage_counts, no_coverage
from comparison.counts.outputs import SEGMENT, OutputPlace
from comparison.counts.score_grid import ScoreGrid
from comparison.counts.tables import OutputAggregates, UnitAggregates, UnitPositives
from comparison.engines.grouping import (
    ALARMS,
    CELLS,
    FLIPS,
    JOINT,
    SCORES,
    SEGMENTS,
    count_by,
    fetched,
    framed,
    stacked,
)
from comparison.pairs.columns import SIDES

MOST_FLIPS: Final = 50


@dataclass(frozen=True, slots=True)
class OutputCounts:
    """Count the output at `place` of prepared pairs; `label` is the column that is about it."""

    prepared: ir.Table
    place: int
    label: str | None
    period: int
    """Nanoseconds of a period of alarms."""

    def aggregates(
        self,
        grid: OutputGrid,
        by_unit: UnitAggregates | None,
        unit_positives: UnitPositives | None = None,
    ) -> OutputAggregates:
        """Run the queries."""
        scores = self._scores(grid.grid)
        if grid.is_given:
            laid = grid.grid
        else:
            laid = grid.grid.with_joint(scores["score"].to_numpy(dtype=np.float64))
        return OutputAggregates(
            name=grid.output,
            grid=laid,
            thresholds=grid.thresholds,
            unscored=grid.unscored,
            scores=scores,
            joint=self._joint(laid),
            alarms=self._alarms(),
            segments=self._by_segment(),
            coverage=self._coverage(),
            flips=self._flips(),
            by_unit=by_unit,
            outside=self._outside(),
            unit_positives=unit_positives,
        )

    @property
    def _output(self) -> OutputPlace:
        return OutputPlace(self.prepared, self.place)

    @property
    def _label(self) -> dict[str, Any]:
        return {} if self.label is None else {"label": counting_label(self.label)}

    @property
    def _alarm(self) -> dict[str, Any]:
        return self._output.alarms | self._label

    def _scores(self, grid: ScoreGrid) -> pd.DataFrame:
        tables = []
        for side in SIDES:
            score = _[f"{side}_score{self.place}"]
            counts = self._output.scored.group_by(
                score=grid_score(score, grid.digits, grid.thresholds),
                primary_alarm=_[f"primary_said{self.place}"],
                **self._label,
            ).agg(low=score.min(), high=score.max(), n=_.count())
            by = {name: dtype for name, dtype in SCORES.items() if name != "side"}
            table = fetched(counts, by)
            named = pd.array([side] * len(table), dtype="string")
            tables.append(table.assign(side=named)[[*SCORES, "n"]])
        return stacked(tables, SCORES)

    def _joint(self, grid: ScoreGrid) -> pd.DataFrame:
        scores = {
            f"{side}_score": grid_score(
                _[f"{side}_score{self.place}"], grid.joint_digits, grid.thresholds
            )
            for side in SIDES
        }
        return fetched(count_by(self._output.scored, **scores, **self._label), JOINT)

    def _alarms(self) -> pd.DataFrame:
        period = _.time - _.time % self.period
        return fetched(count_by(self._output.decided, period=period, **self._alarm), ALARMS)

    def _by_segment(self) -> pd.DataFrame:
        tables = []
        for name in sorted(self.prepared.columns):  # sources differ in the order of their columns
            if name.startswith(SEGMENT):
                counts = count_by(self._output.decided, value=_[name], **self._alarm)
                table = fetched(counts, SEGMENTS)
                segment = pd.array([name.removeprefix(SEGMENT)] * len(table), dtype="string")
                tables.append(table.assign(segment=segment))
        return stacked(tables, SEGMENTS)

    def _coverage(self) -> pd.DataFrame:
        if self.label is None:
            return no_coverage()
        decided = self._output.is_decided
        alarms = {n: ibis.ifelse(decided, said, None) for n, said in self._output.alarms.items()}
        return coverage_counts(self.prepared, alarms, self.label)

    def _outside(self) -> pd.DataFrame:
        """Count the pairs in which a side decided nothing, by what the other decided.

        A pair whose shadow was skipped is not one: the flag left it out.
        """
        left_out = self.prepared.filter(~self._output.is_decided & ~self.prepared.skipped)
        return fetched(count_by(left_out, **self._output.alarms), CELLS)

    def _flips(self) -> pd.DataFrame:
        """Return the pairs whose alarms differ, those with the largest difference of scores first.

        Of each direction, alarms of one side alone, there are at most MOST_FLIPS. Their labels are
        shown however young they are.
        """
        scores = {f"{side}_score": self._output.score(side) for side in SIDES}
        label = {} if self.label is None else {"label": _[GIVEN + self.label]}
        differ = self.prepared.select(
            "request_id", "time", **scores, **self._output.alarms, **label
        )
        differ = differ.filter(_.primary_alarm != _.candidate_alarm)
        largest = differ.mutate(size=(_.primary_score - _.candidate_score).abs())
        order = (ibis.desc("size"), "time", "request_id")
        # Polars knows no row numbers, and ranks no rows.
        each = (largest.filter(alarm) for alarm in (_.primary_alarm, ~_.primary_alarm))
        kept = ibis.union(*(some.order_by(*order).limit(MOST_FLIPS) for some in each))
        return framed(kept.order_by(*order).drop("size", "primary_alarm"), FLIPS)
