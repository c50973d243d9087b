"""The grid of an output: how its scores are rounded, given its thresholds and scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from comparison.counts.counted_window import CountedWindow
from comparison.counts.outputs.columns import OutputColumns, are_finite, both_ok
from comparison.counts.outputs.rows import ByOutput
from comparison.counts.outputs.score_grid import MOST_SCORES, SAMPLE, ScoreGrid
from comparison.engines.mergeable import MergeableCounts
from comparison.pairs.sides import SIDES

MOSTLY_ALARMS: Final = 0.5
"""Share of alarms beyond which pairs without an alarm are the rarer case."""

MOST_THRESHOLDS: Final = 64
"""Thresholds that a grid keeps apart at most: the most frequent ones."""

_THRESHOLD_COUNTS: Final = {
    **{f"{side}_scored": "boolean" for side in SIDES},
    "alarm": "boolean",
    **dict.fromkeys(SIDES, "float64"),
    "n": "int64",
}


@dataclass(frozen=True, slots=True)
class OutputGrid:
    """The grid of an output, its thresholds, and the numbers of pairs without scores."""

    output: str
    grid: ScoreGrid
    thresholds: dict[str, tuple[float, ...]]
    unscored: int
    """Pairs that lack a finite score of a side."""
    unscored_by_side: dict[str, int]
    """By side, pairs without a finite score of that side."""
    decides: bool
    """Whether a pair has decisions of both sides. Their thresholds may not be recorded."""
    is_quiet: bool
    """Whether most pairs are alarms of the primary. To group these by unit would be expensive and
    show little, so pairs without an alarm are grouped."""


def grids_of(window: CountedWindow, columns: Sequence[OutputColumns]) -> tuple[OutputGrid, ...]:
    """Query the thresholds and the number of scores; choose the rounding by that number."""
    if not columns:
        return ()
    outputs = ByOutput(tuple(range(len(columns))))
    used = outputs.framed(window.count_evidence(_thresholds(outputs, columns)), _THRESHOLD_COUNTS)
    scored = {
        place: int(table.loc[table["primary_scored"] & table["candidate_scored"], "n"].sum())
        for place, table in used.items()
    }
    sampled = _sampled_grids(window, columns, [at for at, n in scored.items() if n > MOST_SCORES])
    return tuple(
        OutputGrid(
            each.name,
            sampled.get(place, ScoreGrid()).with_thresholds(_most_frequent(used[place])),
            {side: tuple(np.unique(used[place][side].dropna()).tolist()) for side in SIDES},
            int(used[place]["n"].sum()) - scored[place],
            {side: _lacking(used[place], f"{side}_scored") for side in SIDES},
            bool(used[place]["alarm"].notna().any()),
            _is_mostly(used[place]["alarm"], used[place]["n"]),
        )
        for place, each in enumerate(columns)
    )


def _thresholds(outputs: ByOutput, columns: Sequence[OutputColumns]) -> MergeableCounts:
    """Count pairs by whether each score is known, the primary's alarm and the thresholds."""

    def rows(pairs: ir.Table) -> ir.Table:
        held = both_ok(
            outputs.union(lambda place: columns[place].of(pairs).recorded(**outputs.tag(place)))
        )
        scores = {f"{side}_scored": are_finite(held[f"{side}_score"]) for side in SIDES}
        scored = are_finite(*(held[f"{side}_score"] for side in SIDES))
        decisions = {side: held[f"{side}_decision"] for side in SIDES}
        decided = scored & decisions["primary"].notnull() & decisions["candidate"].notnull()
        return held.select(
            *outputs.key,
            **scores,
            alarm=ibis.ifelse(decided, decisions["primary"], None),
            **{side: ibis.ifelse(decided, held[f"{side}_threshold"], None) for side in SIDES},
        )

    by = (*outputs.key, *(name for name in _THRESHOLD_COUNTS if name != "n"))
    return MergeableCounts("thresholds", rows, by, parameters=_columns_key(columns))


def _lacking(used: pd.DataFrame, scored: str) -> int:
    return int(used.loc[~used[scored], "n"].sum())


def _columns_key(columns: Sequence[OutputColumns]) -> tuple[object, ...]:
    return tuple((each.name, tuple(each.given.items()), each.alarms_below) for each in columns)


def _is_mostly(alarm: "pd.Series[Any]", n: "pd.Series[int]") -> bool:
    """Return whether most decisions are alarms."""
    known = n[alarm.notna()].sum()
    return bool(known) and float(n[alarm.fillna(False)].sum()) > MOSTLY_ALARMS * float(known)


def _sampled_grids(
    window: CountedWindow, columns: Sequence[OutputColumns], places: Sequence[int]
) -> dict[int, ScoreGrid]:
    """Return the grids of outputs with many pairs, from a sample with the smallest span ids."""
    if not places:
        return {}
    many = ByOutput(tuple(places))

    def rows(pairs: ir.Table) -> ir.Table:
        def smallest(place: int) -> ir.Table:
            score = columns[place].of(pairs).score
            scores = {side: score(side) for side in SIDES}
            held = both_ok(pairs).select("span_id", **many.tag(place), **scores)
            scored = held.filter(are_finite(*(held[side] for side in SIDES)))
            return scored.order_by("span_id").limit(SAMPLE)

        return many.union(smallest)

    by = (*many.key, "span_id", *SIDES)
    counts = MergeableCounts(
        "sample",
        rows,
        by,
        parameters=(many.places, _columns_key(columns)),
        condense=partial(_smallest_ids, many.key),
    )
    found = counts.fetched(window.count_evidence(counts))
    samples = many.framed(ibis.memtable(found), dict.fromkeys(SIDES, "float64"))
    return {
        place: ScoreGrid.of_sample(*(sample[side].to_numpy() for side in SIDES))
        for place, sample in samples.items()
    }


def _smallest_ids(key: Sequence[str], rows: pa.Table) -> pa.Table:
    """Keep the rows of each output with the smallest span ids."""
    frame = rows.to_pandas().sort_values("span_id", kind="stable")
    kept = frame.groupby(list(key)).head(SAMPLE) if key else frame.head(SAMPLE)
    return pa.Table.from_pandas(kept, rows.schema, preserve_index=False)


def _most_frequent(used: pd.DataFrame) -> list[float]:
    """Return the thresholds of both sides, at most MOST_THRESHOLDS, the most frequent ones."""
    counts = pd.concat([used.groupby(side)["n"].sum() for side in SIDES])
    total = counts.groupby(level=0).sum().sort_values(ascending=False, kind="stable")
    return [float(each) for each in total.index[:MOST_THRESHOLDS]]
