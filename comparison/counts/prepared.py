"""The pairs of a window, made ready once for all counts.

What is counted of each pair (its scores and decisions by output, its unit, its label) is put side
by side in one narrow table, which an engine that can keeps. So labels are joined once, and every
count after that is a short statement about few columns.
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

from comparison.counts.counted_window import CountedWindow, StepPairs
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
from comparison.counts.outputs.rows import OutputRows, UsualRows
from comparison.engines.grouping import HOUR, MINUTE
from comparison.engines.mergeable import PreparedRows
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.labels import Labels
from comparison.labels.use import TypedLabels
from comparison.pairs.sides import SIDES
from flags.pairing.kinds import registry

_FEW_HOURS: Final = 6 * HOUR
"""A shorter window has a chart over time by its minutes: of hours it would have too few points."""


@dataclass(frozen=True)  # without slots: `table` is computed when it is asked for
class PreparedPairs:
    """Hold the pairs of a flag in a window.

    `step` has those that evidence is taken from, as they were recorded. `table` has one row for
    each of them:

        request_id, time, served, unit (if it was recorded), segment.<name> (those that any names)
        primary_score<place>, candidate_score<place>   missing unless both are `ok` and finite
        primary_said<place>, candidate_said<place>     the decision of a side that is `ok`
        skipped                                        whether a side was left out

    Besides, with labels, what `StepLabels.joined` adds, and what `requests_of` wants; and, with
    outputs that are not scores, what was recorded of them.
    """

    window: CountedWindow
    step: ir.Table
    recorded: Mapping[str, int]
    grids: tuple[OutputGrid, ...]
    labels: StepLabels | None
    typed: TypedLabels
    columns: tuple[OutputColumns, ...]
    labels_digest: str | None
    """What tells the labels from others, where what is counted of them is kept."""

    @cached_property
    def table(self) -> ir.Table:
        """Return one row for each pair, see above, which an engine that can holds.

        Where what is counted of most pairs is kept, and nothing but that is, it holds none.
        """
        if self._usual is not None and not self.has_answers:
            return self.window.source.as_view(self._rows_of_all)
        return self.window.source.cached(self._rows_of_all)

    @property
    def _rows_of_all(self) -> ir.Table:
        rows = self._narrow(self.step, is_drawn=self.labels is not None)
        return rows if self.labels is None else self.labels.joined(rows)

    @cached_property
    def told(self) -> tuple[object, ...]:
        """Return all that what is counted of these depends on, but for the pairs of the place."""
        window, labels = self.window, self.labels
        whole = window.source.place_tables
        bound = whole.bound if whole else nanoseconds
        until, cutoff = window.until, labels.cutoff if labels else None
        return (
            (window.flag, window.parts, window.since, until and bound(until)),
            (self.labels_digest, cutoff and bound(cutoff)),
            [(each.name, dict(each.given), each.alarms_below) for each in self.columns],
            self.grids,
        )

    @cached_property
    def outputs(self) -> OutputRows:
        """Return one row for each pair and output, of which there is one at least."""
        labels, size = self.labels, len(self.grids)
        if not self._keeps or (labels is not None and self._usual is None):
            rows = OutputRows.of(self.table, size, labels.columns if labels else {})
            return replace(rows, table=self.window.source.as_view(rows.table))
        every = OutputRows.of(self._narrow(self.step), size, {})
        every = replace(every, counted=partial(self.window.of_evidence, prepared=self._rows))
        if labels is None or self._usual is None:
            return every
        usual = UsualRows(every, self._usual, labels.labels_of)
        return replace(OutputRows.of(self._held, size, labels.columns), usual=usual)

    @cached_property
    def _held(self) -> ir.Table:
        """Return the rows that have another label than nearly all, or all if there is no such."""
        if self.labels is None or self._usual is None:
            return self.table
        if self.has_answers:  # all pairs are held
            return self.window.source.cached(self.table.filter(self.labels.are_otherwise))
        # Found among all columns, of which few are read: to narrow all pairs first takes longer.
        found = self.labels.joined(self.step).filter(self.labels.are_otherwise)
        known = [name for name in found.columns if name not in self.step.columns]
        return self.window.source.cached(self._narrow(found, *known, is_drawn=True))

    @property
    def has_answers(self) -> bool:
        """Say whether there are outputs that are no scores."""
        numbers = any(not grid.decides for grid in self.grids)
        return numbers or bool(other_outputs(self.step.columns))

    @cached_property
    def _usual(self) -> Mapping[int, bool | None] | None:
        """Return the labels of nearly all pairs, where these need not be held to be counted."""
        if self.labels is None or not self._keeps:
            return None
        found = self.labels.usual
        return found if found is None else {n: found.get(n) for n in range(len(self.grids))}

    @property
    def _keeps(self) -> bool:
        """Say whether counts of outputs are kept: those that do not depend on labels."""
        return self.window.source.keeps_counts and self.window.every.is_whole

    @property
    def _rows(self) -> PreparedRows:
        """Return how the pairs of some files are prepared, as these are."""
        flag, parts = self.window.flag, self.window.parts
        told = repr(
            (
                flag,
                None if parts.since else parts.rollout,
                [(each.name, dict(each.given), each.alarms_below) for each in self.columns],
                _as_recorded(self.step.columns, self.recorded, self.grids),
            )
        )

        def rows(pairs: ir.Table) -> ir.Table:
            here = pairs.filter(pairs.flag == flag)
            if parts.since is None:
                here = parts.of(here)
            return OutputRows.of(self._narrow(here), len(self.grids), {}).table

        return PreparedRows(hashlib.sha256(told.encode()).hexdigest()[:16], rows)

    def _narrow(self, pairs: ir.Table, *others: str, is_drawn: bool = False) -> ir.Table:
        return pairs.select(
            *others,
            *_as_recorded(pairs.columns, self.recorded, self.grids),
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
        """Return the nanoseconds of a period of alarms: an hour, or a minute of a few hours."""
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

        With `rollout`, pairs that a worker made while it saw another rollout are counted as pairs
        and by worker, and nothing else. `outputs` are those that occur, unless named. Labels count
        for pairs accepted before `label_cutoff`, all if None: those of younger pairs, which came
        early, are only counted as covered.

        `thresholds`, by output and side, count instead of those recorded.
        With `step_since`, only what depends on who answers is of the step, which began then. All
        else is of every rollout since `since`.

        Raises SeveralFlagsError if there are several flags and `flag` is None, FlagNotFoundError if
        there are only others.
        """
        chosen = choose_flag(source, flag)
        every = DistinctPairs.of(source, since, until)
        parts = StepPairs(rollout, step_since)
        step = every.table.filter(_.flag == chosen)
        if parts.are_some and step_since is None:
            step = parts.of(step)
        if not source.keeps_counts or labels is not None:  # else hardly a statement is about it
            step = source.as_view(step)
        window = CountedWindow(source, chosen, since, until, parts, every)
        recorded = recorded_counts(window)
        whole = source.place_tables
        digest = labels.digest(whole.tables) if labels is not None and whole else None
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

        They are as `requests_of` makes them, with `value`, whether a label is positive. Where
        nearly all are negative they have none, and those that are otherwise are returned besides,
        with theirs. None if these pairs are not all of that time, or have no such label.
        """
        window = self.window
        if self.labels is None or not self.labels.have_outcome or flag != window.flag:
            return None
        early = window.since is not None and (begin is None or begin < window.since)
        late = window.until is not None and end > window.until
        if early or late or (window.parts.are_some and window.parts.since is None):
            return None
        requests = partial(_drawn_requests, begin=begin, end=end, repeats=self.labels.repeats)
        if self._usual is None or not self.labels.are_negative:
            return requests(self.table), None
        pairs = self.window.source.as_view(self._narrow(self.step, is_drawn=True))
        return requests(pairs), requests(self._held)


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


def _as_recorded(
    columns: Sequence[str], recorded: Mapping[str, int], grids: Sequence[OutputGrid]
) -> list[str]:
    """Return the columns that are taken over as they are."""
    held = ["request_id", "time", "served", *(["unit"] if "unit" in columns else [])]
    held += [name for name in columns if name.startswith(SEGMENT) and recorded[name]]
    starts = tuple(f"{side}_{what}." for side in SIDES for what in registry.columns())
    numbers = [grid.output for grid in grids if not grid.decides]
    scores = {f"{side}_score.{name}" for side in SIDES for name in numbers}
    answers = [name for name in columns if name in scores or name.startswith(starts)]
    if numbers or answers:
        held += ["span_id", *(f"{side}_status" for side in SIDES), *answers]
    return held


def _is_skipped() -> Any:
    skipped = (_[f"{side}_status"] == "skipped" for side in SIDES)
    return ibis.or_(*(each.fill_null(False) for each in skipped))


def _drawn(step: ir.Table, recorded: Mapping[str, int]) -> dict[str, Any]:
    """Return what requests are made of; `arm` is missing where the flag drew nothing."""
    drawn = {"drawn": step.drawn} if recorded.get("drawn") else {}
    arm = ibis.ifelse(_.active == "candidate", 1, 0)
    return {
        "rollout": _.rollout,
        "by_request": is_drawn_by_request(step),
        "arm": ibis.ifelse(_.active.notnull(), arm, None).cast("int8"),
        "flip": flip_of(step).cast("int8"),
        **drawn,
    }
