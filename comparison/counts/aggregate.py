"""Reduce the pairs of a window to counts, in the engine that has the pairs.

It is written once, in ibis expressions that use only filter, group-by, count, sum, min and max:
these mean the same in DuckDB, ClickHouse, Spark, Trino and Polars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from comparison.counts.durations import duration_counts, minute_counts
from comparison.counts.kinds.window import KindWindow, count_kinds
from comparison.counts.labels.joined import unknown_labels
from comparison.counts.outputs.counts import OutputCounts
from comparison.counts.packed import kept_or_counted
from comparison.counts.prepared import PreparedPairs
from comparison.counts.step import (
    batch_counts,
    error_counts,
    feature_counts,
    noise_counts,
    pair_counts,
    sampled_counts,
    worker_counts,
)
from comparison.counts.tables import Aggregates, OutputAggregates
from comparison.counts.units.alarms import UnitVolume, alarms_by_unit, drawn_counts
from comparison.counts.units.failures import failures_by_unit, units_of
from comparison.counts.units.positives import positives_by_unit


def count(
    prepared: PreparedPairs,
    *,
    feature_edges: Mapping[str, Sequence[float]] | None = None,
    warm_up: int = 0,
    settings: Mapping[str, Mapping[str, float]] | None = None,
) -> Aggregates:
    """Count prepared pairs.

    If the step began after the begin of the window, only `traffic`, `blocks` and the rows of
    `pairs` with the `part` "step" are of the step. The first `warm_up` pairs of a worker count for
    no duration. `settings` has, by output and name, what the playbook fixes for an output that is
    not a score.
    """
    arguments = (feature_edges or {}, warm_up, settings)
    window = prepared.window
    kept = window.source.place_tables
    if kept is not None and kept.only_labelled and prepared.labels is None:
        return _count(prepared, *arguments)
    found = kept_or_counted(
        window.source,
        "aggregates",
        window.flag,
        (prepared.cache_key, arguments),
        partial(_count, prepared, *arguments),
    )
    return replace(found, until=window.until)


def _count(
    prepared: PreparedPairs,
    feature_edges: Mapping[str, Sequence[float]],
    warm_up: int,
    settings: Mapping[str, Mapping[str, float]] | None,
) -> Aggregates:
    step, labels = prepared.step, prepared.labels
    numbers = tuple(grid.output for grid in prepared.grids if not grid.decides)
    names = tuple(grid.output for grid in prepared.grids)
    pairs, traffic = pair_counts(prepared.window)
    window = prepared.window.with_pair_counts(pairs)
    source, flag = window.source, window.flag or ""
    units = units_of(window) if "unit" in step.columns else None
    volume = UnitVolume.of(units, prepared.recorded["span"])
    outputs = _outputs(prepared, volume)
    edges = {name: tuple(map(float, each)) for name, each in feature_edges.items()}
    durations, blocks = duration_counts(window, warm_up)
    pairs_of_step = prepared.recorded["n"]
    repeated = labels.repeated() if labels else 0
    return Aggregates(
        flag=flag,
        since=window.since,
        until=window.until,
        outputs=outputs,
        pairs=pairs,
        traffic=traffic,
        workers=worker_counts(source, flag, window.since, window.until),
        durations=durations,
        blocks=blocks,
        noise=noise_counts(step, names, pairs),
        features=feature_counts(window, edges),
        feature_edges=edges,
        duplicates=window.pairs.repeated(window.flag),
        unknown_labels=unknown_labels(source, labels, outputs, repeated) if labels else None,
        repeated_labels=repeated,
        label_columns=labels.labels.columns if labels else (),
        unit_failures=failures_by_unit(step, units, each_named=volume.requests == pairs_of_step)
        if units is not None and volume.units
        else None,
        drawn=drawn_counts(window, prepared.recorded),
        errors=error_counts(window),
        batched=batch_counts(window),
        sampled=sampled_counts(window),
        answers=count_kinds(
            KindWindow(
                source,
                prepared.table,
                numbers,
                volume,
                prepared.typed.of_output,
                settings,
                prepared.recorded["last"],
            )
        )
        if prepared.has_answers
        else (),
        units=volume.units,
        minutes=minute_counts(window, traffic, warm_up),
    )


def _outputs(prepared: PreparedPairs, volume: UnitVolume) -> tuple[OutputAggregates, ...]:
    source, grids = prepared.window.source, prepared.grids
    if not grids:
        return ()
    rows = prepared.outputs
    deciding = {place: grid.is_quiet for place, grid in enumerate(grids) if grid.decides}
    return OutputCounts(rows, grids, prepared.period).aggregates(
        alarms_by_unit(source, rows.unlabelled, volume, deciding),
        positives_by_unit(source, rows.positive, volume),
    )
