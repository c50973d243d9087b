"""Labels joined with the pairs of a step: which pair a label is of, and whether it counts yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.requests import repeated_requests
from comparison.counts.tables import OutputAggregates, UnknownLabels
from comparison.engines.grouping import COVERAGE, stacked
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.labels import Labels
from comparison.labels.files import TIME, is_label
from comparison.labels.use import TypedLabels

EXAMPLES: Final = 3
"""Request ids that are shown of labels without a pair."""

GIVEN: Final = "given."
"""What the columns begin with that hold the labels of a pair's request."""


def known_label(column: str) -> Any:
    """Return the label of a pair: that of its request, if it is the first pair of that."""
    return ibis.ifelse(_.first_of_request, _[GIVEN + column], None)


def counting_label(column: str) -> Any:
    """Return the label of a pair where it counts: the pair is old enough for one."""
    return ibis.ifelse(_.old, _[GIVEN + column], None)


@dataclass(frozen=True)  # without slots: `repeats` are looked for when they are asked for
class StepLabels:
    """Hold the labels of requests, and by the place of an output the column that is about it."""

    source: PairSource
    step: ir.Table
    labels: Labels
    typed: TypedLabels
    columns: Mapping[int, str]
    used: tuple[str, ...]
    """All columns that some output of any kind takes."""
    cutoff: datetime | None
    """Only labels of pairs accepted before count."""

    @cached_property
    def table(self) -> ir.Table:
        """Return the labels as they are typed; only now they are read, if they are in files."""
        return self.typed.in_truths(self.labels.table())

    @cached_property
    def repeats(self) -> ir.Table | None:
        """Return the requests of the step with several pairs, as retries have; None without any.

        Columns: `request_id`, `first` (time), `again`.
        """
        return repeated_requests(self.source, self.step)

    @classmethod
    def of(
        cls,
        source: PairSource,
        step: ir.Table,
        labels: Labels,
        typed: TypedLabels,
        outputs: Sequence[str],
        cutoff: datetime | None,
    ) -> "StepLabels":
        """Say by which columns the labels are about the outputs."""
        truths = typed.truths(outputs)
        return cls(
            source,
            step,
            labels,
            typed,
            {place: truths[name] for place, name in enumerate(outputs) if name in truths},
            tuple(sorted({column for column, _kind in typed.of_output.values()})),
            cutoff,
        )

    def joined(self, pairs: ir.Table) -> ir.Table:
        """Add to `pairs`, which have `request_id` and `time`, the labels of their requests.

        `given.<column>` are as they were given, `outcome` is 1 where any of those that are truths
        is positive, 0 where all are negative. `first_of_request` says that a pair is the first of a
        request that has labels, or of one that has none; `old` that its label counts.
        """
        labels = self.table.select(
            "label_request_id",
            **{f"{GIVEN}{name}": self.table[name] for name in self.used},
            **dict(self._outcome()),
        )
        both = pairs.left_join(labels, pairs.request_id == labels.label_request_id)
        first: Any = ibis.literal(True)
        if self.repeats is not None:
            several = self.repeats.select(repeated_id="request_id", began="first")
            both = both.left_join(several, pairs.request_id == several.repeated_id)
            later = labels.label_request_id.notnull() & (pairs.time > several.began)
            first = ~later.fill_null(False)
        old = first
        if self.cutoff is not None:
            old = first & (pairs.time < nanoseconds(self.cutoff))
        added = [name for name in labels.columns if name != "label_request_id"]
        return both.select(*pairs.columns, *added, first_of_request=first, old=old)

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
        """Count the pairs that follow another one of a labelled request."""
        if self.repeats is None:
            return 0
        labels = self.table
        labelled = self.repeats.semi_join(
            labels, self.repeats.request_id == labels.label_request_id
        )
        return int(labelled.agg(n=_.again.sum()).to_pyarrow()["n"][0].as_py() or 0)


def no_coverage() -> pd.DataFrame:
    """Return the table `coverage` of an output without labels."""
    return stacked([], COVERAGE)


def unknown_labels(
    source: PairSource, labels: ir.Table, outputs: Sequence[OutputAggregates], repeated: int
) -> UnknownLabels:
    """Count the labels whose request id has no pair, of whatever flag and time.

    One that was given before the first pair is that of an earlier request, and left out. Often a
    pair of each has been found already, among those of an output.
    """
    found = [int(each.coverage.loc[each.coverage["label"].notna(), "n"].sum()) for each in outputs]
    if not repeated and (given := _size(labels)) == max(found, default=0):
        return UnknownLabels(0, given, (), ())
    pairs = source.table()
    if TIME in labels.columns:
        first = pairs.agg(first=_.time.min()).to_pyarrow()["first"][0].as_py()
        if first is not None:
            labels = labels.filter((_[TIME] >= int(first)).fill_null(True))
    without = labels.anti_join(pairs, labels.label_request_id == pairs.request_id)
    count = int(without.count().to_pyarrow().as_py())
    if not count:
        return UnknownLabels(0, _size(labels), (), ())
    named = without.order_by("label_request_id").limit(EXAMPLES)
    return UnknownLabels(
        count,
        _size(labels),
        tuple(named.to_pyarrow()["label_request_id"].to_pylist()),
        tuple(_pair_ids(pairs)),
    )


def _pair_ids(pairs: ir.Table) -> list[str]:
    some = pairs.select("request_id").filter(_.request_id.notnull()).order_by("request_id")
    return [str(each) for each in some.limit(EXAMPLES).to_pyarrow()["request_id"].to_pylist()]


def _size(table: ir.Table) -> int:
    return int(table.count().to_pyarrow().as_py())
