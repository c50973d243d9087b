"""The grid of an output: how its scores are rounded, by the thresholds and scores that occur."""

from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from comparison.counts.outputs import OutputColumns, both_ok
from comparison.counts.score_grid import MOST_SCORES, SAMPLE, ScoreGrid
from comparison.engines.grouping import count_by, framed
from comparison.pairs.columns import SIDES

COMMON: Final = 0.5
"""Share of alarms beyond which to have none is the rarer side, and the one that tells."""

MOST_THRESHOLDS: Final = 64
"""Of more thresholds than that, the most frequent are kept apart by the grid."""


@dataclass(frozen=True, slots=True)
class OutputGrid:
    """Hold the grid of an output, its thresholds, and how many pairs no score is known of.

    A grid that is given is also that of the table of both sides.
    """

    output: str
    grid: ScoreGrid
    thresholds: dict[str, tuple[float, ...]]
    unscored: int
    is_given: bool
    is_quiet: bool
    """Whether most pairs are alarms of the primary: to group them by unit would cost, and show
    little."""

    @classmethod
    def of(cls, columns: OutputColumns, grid: ScoreGrid | None) -> "OutputGrid":
        """Ask for the thresholds; round the scores as far as their number wants, unless given."""
        paired = OutputColumns(
            both_ok(columns.pairs), columns.name, columns.given, columns.alarms_below
        )
        both = paired.is_scored()
        alarm = {side: paired.decision(side) for side in SIDES}
        decided = both & alarm["primary"].notnull() & alarm["candidate"].notnull()
        used = framed(
            count_by(
                paired.pairs,
                scored=both,
                alarm=ibis.ifelse(decided, alarm["primary"], None),
                **{side: ibis.ifelse(decided, paired.threshold(side), None) for side in SIDES},
            ),
            {
                "scored": "boolean",
                "alarm": "boolean",
                **dict.fromkeys(SIDES, "float64"),
                "n": "int64",
            },
        )
        is_given = grid is not None
        if grid is None:
            scored = int(used.loc[used["scored"], "n"].sum())
            grid = ScoreGrid() if scored <= MOST_SCORES else _of_sample(paired)
        return cls(
            columns.name,
            grid.with_thresholds(_most_frequent(used)),
            {side: tuple(np.unique(used[side].dropna()).tolist()) for side in SIDES},
            int(used.loc[~used["scored"], "n"].sum()),
            is_given,
            _is_mostly(used["alarm"], used["n"]),
        )

    @property
    def decides(self) -> bool:
        """Say whether a threshold occurred."""
        return any(self.thresholds.values())


def _is_mostly(alarm: "pd.Series[Any]", n: "pd.Series[int]") -> bool:
    """Say whether alarms are the common case of what was decided."""
    known = n[alarm.notna()].sum()
    return bool(known) and float(n[alarm.fillna(False)].sum()) > COMMON * float(known)


def _of_sample(paired: OutputColumns) -> ScoreGrid:
    """Return the grid for many pairs by the scores of some: of those with the least span ids."""
    scored: ir.Table = paired.pairs.filter(paired.is_scored())
    names = [f"{side}_score.{paired.name}" for side in SIDES]
    sample = scored.order_by("span_id").limit(SAMPLE).select(*names).to_pyarrow()
    return ScoreGrid.of_sample(*(sample.column(name).to_numpy() for name in names))


def _most_frequent(used: pd.DataFrame) -> list[float]:
    """Return the thresholds of both sides, at most MOST_THRESHOLDS, the most frequent ones."""
    counts = pd.concat([used.groupby(side)["n"].sum() for side in SIDES])
    total = counts.groupby(level=0).sum().sort_values(ascending=False, kind="stable")
    return [float(each) for each in total.index[:MOST_THRESHOLDS]]
