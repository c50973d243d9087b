"""The reduction of the pairs of a window to counts, by the engine that holds them.

Written once, in expressions of ibis that use nothing but filter, group-by, count, sum, min and max:
these mean the same to DuckDB, ClickHouse, Spark, Trino and Polars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import ibis.expr.types as ir
from ibis import _

from comparison.counts.kinds.window import KindWindow, count_kinds, other_outputs
from comparison.counts.labelled import JoinedLabels, unknown_labels
from comparison.counts.outputs import (
    OutputCounts,
    OutputGrid,
    decided_at,
    flips_of,
    is_decided,
    named_segments,
    outputs_of,
    outside_counts,
    with_output,
)
from comparison.counts.score_grid import ScoreGrid
from comparison.counts.step import (
    StepPairs,
    batch_counts,
    duration_counts,
    feature_counts,
    minute_counts,
    noise_counts,
    pair_counts,
    sampled_counts,
    traffic_counts,
    worker_counts,
)
from comparison.counts.tables import Aggregates
from comparison.counts.unit_failures import failures_by_unit, units_of
from comparison.counts.unit_positives import positives_by_unit
from comparison.counts.units import UnitVolume, alarms_by_unit, drawn_counts
from comparison.engines.grouping import HOUR, MINUTE, count_by
from comparison.engines.sources import FramePairs, PairSource
from comparison.engines.tables import in_window
from comparison.errors import FlagNotFoundError, SeveralFlagsError
from comparison.labels import Labels
from comparison.labels.files import is_label
from comparison.labels.use import TypedLabels
from comparison.pairs.reader import Pairs

_FEW_HOURS: Final = 6 * HOUR
"""A shorter window has a chart over time by its minutes: of hours it would have too few points."""


def aggregate(
    source: PairSource | Pairs,
    *,
    flag: str | None = None,
    rollout: float | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    outputs: Sequence[str] | None = None,
    labels: Labels | None = None,
    label_cutoff: datetime | None = None,
    feature_edges: Mapping[str, Sequence[float]] | None = None,
    given: Mapping[str, ScoreGrid] | None = None,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    step_since: datetime | None = None,
    warm_up: int = 0,
    settings: Mapping[str, Mapping[str, float]] | None = None,
) -> Aggregates:
    """Count the pairs of `flag` that were accepted from `since` until before `until`.

    With `rollout`, pairs that a worker made while it saw another rollout are in no table but
    `pairs` and `workers`. `outputs` are those that occur, unless named. Labels count for pairs
    accepted before `label_cutoff`, all if None: those of younger pairs, which came early, are only
    counted in `coverage`.
    `settings` are what the playbook fixes for an output that is no score, by output and name.
    `given` are the grids, by output, of a window to which this one will be added. `thresholds`, by
    output and side, count instead of those recorded.

    With `step_since`, only the tables of what depends on who answers are those of the step, which
    began then: `pairs`, by its column `part`, `traffic` and `blocks`. All others hold every rollout
    since `since`. The first `warm_up` pairs of a worker count for no duration.

    Raises SeveralFlagsError if there are several flags and `flag` is None, FlagNotFoundError if
    there are only others.
    """
    source = FramePairs.of(source) if isinstance(source, Pairs) else source
    chosen = _choose_flag(source, flag)
    every = _distinct(source, since, until)
    window = every.table.filter(_.flag == chosen)
    chosen_step = StepPairs(rollout, step_since)
    own = chosen_step.of(window)
    step = named_segments(own if step_since is None else window)
    found = outputs_of(step, outputs)
    for output in found:
        step = decided_at(with_output(step, output), output, (thresholds or {}).get(output, {}))
    grids = [OutputGrid.of(step, output, (given or {}).get(output)) for output in found]
    deciding = [grid.output for grid in grids if any(grid.thresholds.values())]
    others = other_outputs(step.columns)
    joined, typed = None, TypedLabels({})
    if labels is not None:
        typed = TypedLabels.of(labels, (*found, *others), deciding, others)
        table = typed.in_truths(labels.table())
        places = {found.index(output): column for output, column in typed.truths(found).items()}
        joined = JoinedLabels.of(source, step, table, places, label_cutoff)
    prepared = _prepared(step, grids, joined)
    units = units_of(source, step) if "unit" in step.columns else None
    volume = UnitVolume.of(units)
    numbers = tuple(name for name in found if name not in deciding)
    kinds = KindWindow(source, step, numbers, volume, joined, typed.of_output, settings)
    edges = {name: tuple(map(float, each)) for name, each in (feature_edges or {}).items()}
    counted = tuple(
        OutputCounts(prepared, place).aggregates(
            grid,
            flips_of(step, grid.output, place, joined),
            alarms_by_unit(
                source,
                step,
                grid.output,
                is_decided(step, grid.output),
                volume,
                is_quiet=grid.is_quiet,
            )
            if grid.thresholds["candidate"]
            else None,
            outside_counts(step, grid.output),
            positives_by_unit(joined, step, grid.output, place, volume),
        )
        for place, grid in enumerate(grids)
    )
    pairs = pair_counts(window, chosen_step)
    durations, blocks = duration_counts(step, chosen_step, warm_up)
    return Aggregates(
        flag=chosen or "",
        since=since,
        until=until,
        outputs=counted,
        pairs=pairs,
        traffic=traffic_counts(own),
        workers=worker_counts(
            source,
            every.table,
            chosen or "",
            windowed=since is not None or until is not None,
        ),
        durations=durations,
        blocks=blocks,
        noise=noise_counts(step, found, pairs),
        features=feature_counts(step, edges),
        feature_edges=edges,
        duplicates=every.repeated(chosen),
        unknown_labels=unknown_labels(source, joined, counted) if joined else None,
        repeated_labels=joined.repeated() if joined else 0,
        label_columns=tuple(filter(is_label, joined.table.columns)) if joined else (),
        unit_failures=failures_by_unit(step, units) if units is not None and volume.units else None,
        drawn=drawn_counts(own),
        batched=batch_counts(step),
        sampled=sampled_counts(step),
        answers=count_kinds(kinds),
        units=volume.units,
        minutes=minute_counts(own, warm_up),
    )


def _prepared(step: ir.Table, grids: Sequence[OutputGrid], labels: JoinedLabels | None) -> ir.Table:
    """Reduce each pair to what is counted: period, segments, scores, alarms; `served` and labels.

    Without labels there are no columns of them.
    """
    segments = [name for name in step.columns if name.startswith("segment.")]
    columns = {"period": _.time - _.time % _period(step)}
    for place, grid in enumerate(grids):
        columns |= dict(grid.columns(place, step))
    if labels is None:
        return step.select(*segments, **columns)
    return labels.to(step.select("request_id", *segments, served=_.served, time=_.time, **columns))


def _period(step: ir.Table) -> int:
    """Return the nanoseconds of a period of alarms: an hour, or a minute of a few hours."""
    [row] = step.agg(first=_.time.min(), last=_.time.max()).to_pyarrow().to_pylist()
    return MINUTE if (row["last"] or 0) - (row["first"] or 0) < _FEW_HOURS else HOUR


@dataclass(frozen=True, slots=True)
class _Distinct:
    """Hold the pairs of a window, each once, and flag and time of the repeated ones."""

    table: ir.Table
    again: ir.Table | None

    def repeated(self, flag: str | None) -> int:
        """Count the repeated pairs of a flag."""
        if self.again is None:
            return 0
        return int(self.again.filter(_.flag == flag).n.sum().to_pyarrow().as_py() or 0)


def _distinct(source: PairSource, since: datetime | None, until: datetime | None) -> _Distinct:
    table = source.table(since, until)
    known = source.repeated()
    if known is not None:
        return _Distinct(table, count_by(in_window(known, since, until), flag=_.flag))
    ids = count_by(table, flag=_.flag, span_id=_.span_id).filter(_.n > 1)
    if not ids.count().to_pyarrow().as_py():
        return _Distinct(table, None)
    again = ids.group_by("flag").agg(n=(_.n - 1).sum())
    return _Distinct(_once(table), again)


def _once(table: ir.Table) -> ir.Table:
    """Take one row of each span id: copies are equal, so that any will do."""
    truths = [name for name, kind in table.schema().items() if kind.is_boolean()]
    countable = table.mutate(**{name: _[name].cast("int8") for name in truths})
    others = [name for name in table.columns if name != "span_id"]
    taken = countable.group_by("span_id").agg(**{name: _[name].min() for name in others})
    return taken.mutate(**{name: _[name].cast("boolean") for name in truths})


def _choose_flag(source: PairSource, flag: str | None) -> str | None:
    rows = source.table().select("flag").distinct().to_pyarrow().to_pylist()
    flags = tuple(sorted(row["flag"] for row in rows if row["flag"] is not None))
    if flag is None and len(flags) > 1:
        raise SeveralFlagsError(source.name, flags)
    if flag is not None and flags and flag not in flags:
        raise FlagNotFoundError(source.name, flag, flags)
    return flag or next(iter(flags), None)
