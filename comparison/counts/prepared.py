"""Prepare the pairs of a window once for all counts.

The columns that are counted (scores and decisions by output, unit, label) are selected into one
narrow table, which the engine caches if it can. So labels are joined once, and every count after
that is a short statement about few columns.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Final

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.counted_window import CountedWindow, StepFilter
from comparison.counts.distinct import DistinctPairs, choose_flag
from comparison.counts.drawn.draws import drawn_unit, flip_of, is_drawn_by_request
from comparison.counts.drawn.requests import requests_of
from comparison.counts.kinds.window import other_outputs
from comparison.counts.labels.joined import StepLabels
from comparison.counts.outputs.columns import (
    SEGMENT,
    OutputColumns,
    columns_of,
    outputs_of,
    recorded_counts,
)
from comparison.counts.outputs.grids import OutputGrid, grids_of
from comparison.counts.outputs.rows import MajorityRows, OutputRows
from comparison.engines.grouping import HOUR, MINUTE
from comparison.engines.mergeable import PreparedRows
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.labels import Labels
from comparison.labels.use import TypedLabels
from comparison.pairs.sides import SIDES
from flags.pairing.kinds import registry

_FEW_HOURS: Final = 6 * HOUR
"""A shorter window is charted by minute: by hour it would have too few points."""


@dataclass(frozen=True)  # without slots: `table` is computed at first use
class PreparedPairs:
    """The pairs of a flag in a window, prepared for counting.

    `step` has the pairs that evidence is taken from, as they were recorded. `table` has one row for
    each of them, in which outputs are numbered by their place:

        request_id, time, served, unit (if recorded), segment.<name> (if any pair names it)
        primary_score<place>, candidate_score<place>        missing unless both are `ok` and finite
        primary_decision<place>, candidate_decision<place>  the decision of a side that is `ok`
        skipped                                             whether a side was skipped

    With labels it also has the columns of `StepLabels.joined`, and those that `requests_of` needs;
    with outputs that are not scores, their recorded columns.
    """

    window: CountedWindow
    step: ir.Table
    recorded: Mapping[str, int]
    grids: tuple[OutputGrid, ...]
    labels: StepLabels | None
    typed: TypedLabels
    columns: tuple[OutputColumns, ...]
    labels_digest: str | None
    """A digest that identifies the labels in kept counts."""

    @cached_property
    def table(self) -> ir.Table:
        """Return one row for each pair, see above; the engine caches them if it can.

        If the counts of most pairs are kept, and no output needs the pairs themselves, it is only a
        view.
        """
        if self._majority is not None and not self.has_answers:
            return self.window.source.as_view(self._all_rows)
        return self.window.source.cached(self._all_rows)

    @property
    def _all_rows(self) -> ir.Table:
        rows = self._select_columns(self.step, is_drawn=self.labels is not None)
        return rows if self.labels is None else self.labels.joined(rows)

    @cached_property
    def cache_key(self) -> tuple[object, ...]:
        """Return everything besides the pairs of the place that their counts depend on."""
        window, labels = self.window, self.labels
        kept = window.source.place_tables
        bound = kept.bound if kept else nanoseconds
        until, cutoff = window.until, labels.cutoff if labels else None
        return (
            (window.flag, window.step, window.since, until and bound(until)),
            (self.labels_digest, cutoff and bound(cutoff)),
            [(each.name, dict(each.given), each.alarms_below) for each in self.columns],
            self.grids,
        )

    @cached_property
    def outputs(self) -> OutputRows:
        """Return one row for each pair and output; there must be an output."""
        labels, size = self.labels, len(self.grids)
        if not self._keeps_counts or (labels is not None and self._majority is None):
            rows = OutputRows.of(self.table, size, labels.columns if labels else {})
            return replace(rows, table=self.window.source.as_view(rows.table))
        rows = OutputRows.of(self._select_columns(self.step), size, {})
        rows = replace(
            rows, counted=partial(self.window.count_evidence, prepared=self._prepared_rows)
        )
        if labels is None or self._majority is None:
            return rows
        majority = MajorityRows(rows, self._majority, labels.labels_of)
        return replace(OutputRows.of(self._exceptions, size, labels.columns), majority=majority)

    @cached_property
    def _exceptions(self) -> ir.Table:
        """Return the rows whose label is not the majority label; all rows if there is none."""
        if self.labels is None or self._majority is None:
            return self.table
        if self.has_answers:  # `table` is cached anyway
            return self.window.source.cached(self.table.filter(self.labels.are_exceptions))
        # Filter first: to select the columns of all pairs before takes longer.
        found = self.labels.joined(self.step).filter(self.labels.are_exceptions)
        known = [name for name in found.columns if name not in self.step.columns]
        return self.window.source.cached(self._select_columns(found, *known, is_drawn=True))

    @property
    def has_answers(self) -> bool:
        """Return whether there are outputs that are not scores."""
        numbers = any(not grid.decides for grid in self.grids)
        return numbers or bool(other_outputs(self.step.columns))

    @cached_property
    def _majority(self) -> Mapping[int, bool | None] | None:
        """Return the majority label by output, if pairs are counted without a join; else None."""
        if self.labels is None or not self._keeps_counts:
            return None
        found = self.labels.majority
        return found if found is None else {n: found.get(n) for n in range(len(self.grids))}

    @property
    def _keeps_counts(self) -> bool:
        """Return whether counts of outputs are kept, if they do not depend on labels."""
        return self.window.source.keeps_counts and self.window.pairs.is_whole

    @property
    def _prepared_rows(self) -> PreparedRows:
        """Return the statement that prepares the pairs of any files as these are prepared."""
        flag, step = self.window.flag, self.window.step
        identity = repr(
            (
                flag,
                None if step.since else step.rollout,
                [(each.name, dict(each.given), each.alarms_below) for each in self.columns],
                _recorded_columns(self.step.columns, self.recorded, self.grids),
            )
        )

        def rows(pairs: ir.Table) -> ir.Table:
            here = pairs.filter(pairs.flag == flag)
            if step.since is None:
                here = step.apply(here)
            return OutputRows.of(self._select_columns(here), len(self.grids), {}).table

        return PreparedRows(hashlib.sha256(identity.encode()).hexdigest()[:16], rows)

    def _select_columns(self, pairs: ir.Table, *others: str, is_drawn: bool = False) -> ir.Table:
        """Select the columns of `table` from pairs, and columns `others` unchanged.

        With `is_drawn`, add those that `_drawn_requests` needs.
        """
        return pairs.select(
            *others,
            *_recorded_columns(pairs.columns, self.recorded, self.grids),
            skipped=_is_skipped(),
            **{
                name: column
                for place, each in enumerate(self.columns)
                for name, column in each.of(pairs).prepared(place)
            },
            **(_drawn(pairs, self.recorded) if is_drawn else {}),
        )

    @property
    def period(self) -> int:
        """Return the period of alarms in nanoseconds: an hour, in a short window a minute."""
        return MINUTE if self.recorded["span"] < _FEW_HOURS else HOUR

    @classmethod
    def of(
        cls,
        source: PairSource,
        *,
        flag: str | None = None,
        rollout: float | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        outputs: Sequence[str] | None = None,
        labels: Labels | None = None,
        label_cutoff: datetime | None = None,
        thresholds: Mapping[str, Mapping[str, float]] | None = None,
        step_since: datetime | None = None,
    ) -> "PreparedPairs":
        """Prepare the pairs of `flag` that were accepted from `since` until before `until`.

        With `rollout`, pairs that a worker made while it saw another rollout are counted only in
        the tables of pairs and workers. `outputs` are by default all that occur. Labels count for
        pairs accepted before `label_cutoff`, for all if it is None; early labels of younger pairs
        count only as coverage.

        `thresholds`, by output and side, replace the recorded ones.
        With `step_since`, the time when the step began, only what depends on who answers is of the
        step. Everything else is of every rollout since `since`.

        Raises SeveralFlagsError if there are several flags and `flag` is None, FlagNotFoundError if
        there are only others.
        """
        chosen = choose_flag(source, flag)
        distinct = DistinctPairs.of(source, since, until)
        step_filter = StepFilter(rollout, step_since)
        step = distinct.table.filter(_.flag == chosen)
        if step_filter.is_partial and step_since is None:
            step = step_filter.apply(step)
        if not source.keeps_counts or labels is not None:  # else few statements read it
            step = source.as_view(step)
        window = CountedWindow(source, chosen, since, until, step_filter, distinct)
        recorded = recorded_counts(window)
        kept = source.place_tables
        digest = labels.digest(kept.tables) if labels is not None and kept else None
        outputs = outputs_of(step.columns, outputs, recorded)
        columns = columns_of(window, step, outputs, thresholds or {})
        grids = grids_of(window, columns)
        joined, typed = None, TypedLabels({})
        if labels is not None:
            others = other_outputs(step.columns)
            deciding = [grid.output for grid in grids if grid.decides]
            typed = TypedLabels.of(labels, (*outputs, *others), deciding, others)
            joined = StepLabels.of(
                source, step, labels, typed, outputs, recorded["n"], label_cutoff
            )
        return cls(window, step, recorded, grids, joined, typed, tuple(columns), digest)

    def drawn(
        self, flag: str, begin: datetime | None, end: datetime
    ) -> tuple[ir.Table, ir.Table | None] | None:
        """Return the requests of [begin, end) that the flag drew between both sides.

        They have the columns of `requests_of`, and `value`: whether a label is positive. If nearly
        all are negative, the first table has no `value`, and a second one has the requests with
        another label, with `value`. None if these pairs do not cover that time, or have no label
        that is a boolean.
        """
        window = self.window
        if self.labels is None or not self.labels.have_outcome or flag != window.flag:
            return None
        early = window.since is not None and (begin is None or begin < window.since)
        late = window.until is not None and end > window.until
        if early or late or (window.step.is_partial and window.step.since is None):
            return None
        requests = partial(_drawn_requests, begin=begin, end=end, repeats=self.labels.repeats)
        if self._majority is None or not self.labels.are_negative:
            return requests(self.table), None
        pairs = self.window.source.as_view(self._select_columns(self.step, is_drawn=True))
        return requests(pairs), requests(self._exceptions)


def _drawn_requests(
    pairs: ir.Table, begin: datetime | None, end: datetime, repeats: ir.Table | None
) -> ir.Table:
    rows = pairs.filter(_.arm.notnull(), _.rollout > 0, _.rollout < 100, _.time < nanoseconds(end))
    if begin is not None:
        rows = rows.filter(_.time >= nanoseconds(begin))
    value = {"value": _.outcome} if "outcome" in rows.columns else {}
    drawn = rows.select(
        "request_id",
        "rollout",
        "time",
        "arm",
        "flip",
        unit=drawn_unit(rows, rows.by_request),
        **value,
    )
    return requests_of(drawn, repeats)


def _recorded_columns(
    columns: Sequence[str], recorded: Mapping[str, int], grids: Sequence[OutputGrid]
) -> list[str]:
    """Return the recorded columns that the prepared table has unchanged."""
    names = ["request_id", "time", "served", *(["unit"] if "unit" in columns else [])]
    names += [name for name in columns if name.startswith(SEGMENT) and recorded[name]]
    starts = tuple(f"{side}_{what}." for side in SIDES for what in registry.columns())
    numbers = [grid.output for grid in grids if not grid.decides]
    scores = {f"{side}_score.{name}" for side in SIDES for name in numbers}
    answers = [name for name in columns if name in scores or name.startswith(starts)]
    if numbers or answers:
        names += ["span_id", *(f"{side}_status" for side in SIDES), *answers]
    return names


def _is_skipped() -> Any:
    skipped = (_[f"{side}_status"] == "skipped" for side in SIDES)
    return ibis.or_(*(each.fill_null(False) for each in skipped))


def _drawn(step: ir.Table, recorded: Mapping[str, int]) -> dict[str, Any]:
    """Return the columns for `_drawn_requests`; `arm` is missing if the flag drew nothing."""
    drawn = {"drawn": step.drawn} if recorded.get("drawn") else {}
    arm = ibis.ifelse(_.active == "candidate", 1, 0)
    return {
        "rollout": _.rollout,
        "by_request": is_drawn_by_request(step),
        "arm": ibis.ifelse(_.active.notnull(), arm, None).cast("int8"),
        "flip": flip_of(step).cast("int8"),
        **drawn,
    }
