"""Join labels with the pairs of a step: which pair has a label, and whether it counts yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from uuid import uuid4

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis import _

from comparison.counts.drawn.requests import repeated_requests
from comparison.counts.labels.matching import ID, LabelMatch, is_value
from comparison.counts.tables import OutputAggregates, UnknownLabels
from comparison.engines.embedded import register_table, unregister_table
from comparison.engines.grouping import COVERAGE, row_count, stacked
from comparison.engines.id_hashes import IdHashes, can_hash
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.labels import Labels
from comparison.labels.files import TIME, is_label
from comparison.labels.use import TypedLabels

EXAMPLES: Final = 3
"""Examples of request ids that are shown for labels without a pair."""

MIN_MATCHED_PAIRS: Final = 100_000
"""Fewer pairs than this are joined with all labels by the engine: matching would take longer."""

GIVEN: Final = "given."
"""Prefix of the columns with the labels of a pair's request."""


def known_label(column: str) -> Any:
    """Return the label of a pair: the label of its request, if the pair is the request's first."""
    return ibis.ifelse(_.first_of_request, _[GIVEN + column], None)


def counting_label(column: str) -> Any:
    """Return the label of a pair if it counts: if the pair is old enough for a label."""
    return ibis.ifelse(_.old, _[GIVEN + column], None)


@dataclass(frozen=True)  # without slots: `_matched` is computed at first use
class StepLabels:
    """The labels of the requests of a step; `columns` has the label column by place of output."""

    source: PairSource
    step: ir.Table
    labels: Labels
    typed: TypedLabels
    columns: Mapping[int, str]
    size: int
    """Number of pairs of the step."""
    used: tuple[str, ...]
    """All columns of labels that an output of any kind uses."""
    cutoff: datetime | None
    """Labels count only for pairs accepted before this time; None: for all."""

    @property
    def table(self) -> ir.Table:
        """Return the labels with their types; labels in files are read at the first use."""
        return self.typed.with_truths(self._rows)

    @cached_property
    def _rows(self) -> ir.Table:
        if not can_hash(self.step):
            return self.labels.table()
        return self.labels.shown(self.step.get_backend())

    def _register(self, rows: pa.Table) -> ir.Table:
        """Register rows with the engine in this process, which then knows their number."""
        return register_table(self.step.get_backend(), f"labels_{uuid4().hex}", rows)

    @cached_property
    def _matched(self) -> tuple[ir.Table | None, LabelMatch | None]:
        """Compute `repeats` and `match`; the hashes of the requests are freed afterwards."""
        if self.size < MIN_MATCHED_PAIRS or not can_hash(self.step):
            return repeated_requests(self.source, self.step), None
        engine = self.step.get_backend()
        known = IdHashes.of(engine, self.step, "request_id")
        given = self.labels.hashes or IdHashes.of(engine, self._given, ID)
        match = LabelMatch.of(self.step, known, self._given, given)
        self.labels.verify()
        if match is not None and TIME not in self._rows.columns:  # else the times are needed again
            self._release()
        return repeated_requests(self.source, self.step, known), match

    def _release(self) -> None:
        """Free the labels: after matching, only exceptions from the majority label are needed."""
        if self.labels.release():
            unregister_table(self.step.get_backend(), self._rows)
            del vars(self)["_rows"]

    @property
    def repeats(self) -> ir.Table | None:
        """Return the requests of the step with several pairs, such as retries; None without any.

        Columns: `request_id`, `first` (time), `again`.
        """
        return self._matched[0]

    @property
    def match(self) -> LabelMatch | None:
        """Return the majority label and the exceptions; None if all labels must be joined."""
        return self._matched[1]

    @cached_property
    def _exceptions(self) -> ir.Table:
        assert self.match is not None  # noqa: S101 - for the type checker
        return self._register(self.match.exceptions)

    @property
    def _given(self) -> ir.Table:
        """Return the labels with the column names that they have in `joined`."""
        named = {f"{GIVEN}{name}": self.table[name] for name in self.used}
        return self.table.select("label_request_id", **named, **dict(self._outcome()))

    @classmethod
    def of(
        cls,
        source: PairSource,
        step: ir.Table,
        labels: Labels,
        typed: TypedLabels,
        outputs: Sequence[str],
        size: int,
        cutoff: datetime | None,
    ) -> "StepLabels":
        """Choose the columns of labels for the outputs."""
        truths = typed.truths(outputs)
        return cls(
            source,
            step,
            labels,
            typed,
            {place: truths[name] for place, name in enumerate(outputs) if name in truths},
            size,
            tuple(sorted({column for column, _kind in typed.of_output.values()})),
            cutoff,
        )

    def joined(self, pairs: ir.Table) -> ir.Table:
        """Add the labels of their requests to `pairs`, which have `request_id` and `time`.

        `given.<column>` are the labels as given. `outcome` is 1 if any boolean label is positive,
        0 if all are negative. `first_of_request` is false only for further pairs of a labelled
        request. `old` is true if the label of the pair counts.
        """
        both, given, is_labelled = self._with_labels(pairs)
        first: Any = ibis.literal(True)
        if self.repeats is not None:
            # `nullif` makes it nullable: else ClickHouse fills in 1970 where the join finds no row.
            began = self.repeats["first"].nullif(-1)
            several = self.repeats.select(repeated_id="request_id", began=began)
            both = both.left_join(several, pairs.request_id == several.repeated_id)
            later = is_labelled & (pairs.time > several.began)
            first = ~later.fill_null(False)
        old = first
        if self.cutoff is not None:
            old = first & (pairs.time < nanoseconds(self.cutoff))
        return both.select(*pairs.columns, **given, first_of_request=first, old=old)

    @property
    def majority(self) -> dict[int, bool | None] | None:
        """Return the majority label by the place of an output.

        None if there is none, or if one is positive: counts by unit need all positives.
        """
        if self.match is None:
            return None
        found = {place: self.match.majority[GIVEN + name] for place, name in self.columns.items()}
        return None if any(found.values()) else found

    @property
    def have_outcome(self) -> bool:
        """Return whether some labels are booleans."""
        return "outcome" in (self.match.majority if self.match else self._given.columns)

    @property
    def are_negative(self) -> bool:
        """Return whether the majority label of the requests is negative."""
        return self.match is not None and self.match.majority.get("outcome") == 0

    @property
    def are_exceptions(self) -> Any:
        """Return the condition that a pair's label does not count or is no majority label."""
        match = self.match
        assert match is not None  # noqa: S101 - for the type checker
        names = [GIVEN + name for name in self.used]
        return ~ibis.and_(_.old, *(is_value(_[name], match.majority[name]) for name in names))

    def labels_of(self, requests: Sequence[str | None]) -> dict[int, list[bool | None]]:
        """Return the labels of these requests, by the place of an output."""
        match = self.match
        assert match is not None  # noqa: S101 - for the type checker
        known = {each for each in requests if isinstance(each, str)}
        found = {}
        for place, name in self.columns.items():
            labels = match.labels_of(known, GIVEN + name)
            found[place] = [labels.get(str(each)) for each in requests]
        return found

    def _with_labels(self, pairs: ir.Table) -> tuple[ir.Table, dict[str, Any], Any]:
        """Join pairs with labels; return the join, its labels, and whether a pair has one."""
        if self.match is None:
            labels = self._given
            both = pairs.left_join(labels, pairs.request_id == labels.label_request_id)
            given = {name: labels[name] for name in labels.columns if name != ID}
            return both, given, labels.label_request_id.notnull()
        exceptions = self._exceptions
        both = pairs.left_join(exceptions, pairs.request_id == exceptions.label_request_id)
        is_majority = exceptions.label_request_id.isnull() & pairs.request_id.notnull()
        given = {
            name: ibis.ifelse(is_majority, self.match.literal(name), exceptions[name])
            for name in self.match.majority
        }
        is_labelled = exceptions.is_labelled.fill_null(False)
        return both, given, is_majority | is_labelled if self.match.are_labelled else is_labelled

    def _outcome(self) -> Iterator[tuple[str, Any]]:
        truths = [
            self.table[name]
            for name, kind in self.table.schema().items()
            if is_label(name) and kind.is_boolean()
        ]
        if truths:
            positive = ibis.or_(*(each.fill_null(False) for each in truths))
            known = ibis.or_(*(each.notnull() for each in truths))
            value = ibis.ifelse(positive, 1, ibis.ifelse(known, 0, None))
            yield "outcome", value.cast("int8")

    def repeated(self) -> int:
        """Count the further pairs of labelled requests, after the first of each request."""
        if self.repeats is None:
            return 0
        requests = self.repeats
        if self.match is None or not self.match.are_labelled:
            labels = self.table if self.match is None else self._exceptions
            labelled = requests.semi_join(labels, requests.request_id == labels.label_request_id)
        else:
            lacking = self._register(self.match.unlabelled)
            labelled = requests.anti_join(lacking, requests.request_id == lacking.label_request_id)
        return int(labelled.agg(n=_.again.sum()).to_pyarrow()["n"][0].as_py() or 0)

    @property
    def unmatched(self) -> ir.Table:
        """Return the labels that may have no pair: those without one in the step, or all."""
        if self.match is None:
            return self.table
        unmatched = self._register(self.match.unmatched)
        if TIME not in self.labels.facts.schema.names:
            return unmatched
        return self.table.semi_join(unmatched, "label_request_id")


def no_coverage() -> pd.DataFrame:
    """Return the empty table `coverage` of an output without labels."""
    return stacked([], COVERAGE)


def unknown_labels(
    source: PairSource, labels: StepLabels, outputs: Sequence[OutputAggregates], repeated: int
) -> UnknownLabels:
    """Count the labels whose request id has no pair of any flag and time.

    A label from before the first pair is of an earlier request, and is left out. No query is needed
    if the coverage of an output already shows a pair for each label.
    """
    found = [int(each.coverage.loc[each.coverage["label"].notna(), "n"].sum()) for each in outputs]
    given = labels.labels.facts.size
    if not repeated and given == max(found, default=0):
        return UnknownLabels(0, given, (), ())
    pairs, unmatched = source.table(), labels.unmatched
    if TIME in unmatched.columns:
        first = pairs.agg(first=_.time.min()).to_pyarrow()["first"][0].as_py()
        if first is not None:
            late = (_[TIME] >= int(first)).fill_null(True)
            unmatched, given = unmatched.filter(late), row_count(labels.table.filter(late))
    without = unmatched.anti_join(pairs, unmatched.label_request_id == pairs.request_id)
    count = row_count(without)
    labels.labels.verify()
    if not count:
        return UnknownLabels(0, given, (), ())
    named = without.order_by("label_request_id").limit(EXAMPLES)
    return UnknownLabels(
        count,
        given,
        tuple(named.to_pyarrow()["label_request_id"].to_pylist()),
        tuple(_pair_ids(pairs)),
    )


def _pair_ids(pairs: ir.Table) -> list[str]:
    some = pairs.select("request_id").filter(_.request_id.notnull()).order_by("request_id")
    return [str(each) for each in some.limit(EXAMPLES).to_pyarrow()["request_id"].to_pylist()]
