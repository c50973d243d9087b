"""Labels joined with the pairs of a step: which pair a label is of, and whether it counts yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.requests import repeated_requests
from comparison.counts.tables import OutputAggregates, UnknownLabels
from comparison.engines.grouping import COVERAGE, count_by, fetched, stacked
from comparison.engines.sources import PairSource
from comparison.engines.tables import nanoseconds
from comparison.labels.files import TIME

EXAMPLES: Final = 3
"""Request ids that are shown of labels without a pair."""


@dataclass(frozen=True, slots=True)
class JoinedLabels:
    """Hold the labels of requests, and by the place of an output the column that is about it."""

    source: PairSource
    table: ir.Table
    columns: Mapping[int, str]
    cutoff: datetime | None
    """Only labels of pairs accepted before count."""
    repeats: ir.Table
    """Requests with several pairs: `repeated_id`, `first` (time), `again` (how many more)."""

    @classmethod
    def of(
        cls,
        source: PairSource,
        step: ir.Table,
        table: ir.Table,
        columns: Mapping[int, str],
        cutoff: datetime | None,
    ) -> "JoinedLabels":
        """Look for the labelled requests with several pairs, as retries have."""
        several = repeated_requests(source, step)
        labelled = several.semi_join(table, several.request_id == table.label_request_id)
        repeats = labelled.rename(repeated_id="request_id")
        return cls(source, table, columns, cutoff, source.kept(repeats))

    def to(self, pairs: ir.Table) -> ir.Table:
        """Add to `pairs`, which have `request_id`, `time` and `served`, what their labels are.

        `known<place>` is the label of an output, `label<place>` the same where it counts, `old`
        whether it does. A label is that of the first pair of its request, `first_of_request`.
        """
        joined = pairs.left_join(self.repeats, pairs.request_id == self.repeats.repeated_id)
        later = joined.first.notnull() & (joined.time > joined.first)
        once = joined.mutate(first_of_request=~later).drop("first", "again", "repeated_id")
        old = ibis.literal(True)
        if self.cutoff is not None:
            old = once.time < nanoseconds(self.cutoff)
        dated = once.mutate(old=old & once.first_of_request).drop("time")
        wanted = {f"of{place}": self.table[name] for place, name in self.columns.items()}
        labels = self.table.select("label_request_id", **wanted)
        both = dated.left_join(labels, dated.request_id == labels.label_request_id)
        known = {
            f"known{place}": ibis.ifelse(both.first_of_request, both[f"of{place}"], None)
            for place in self.columns
        }
        counting = {
            f"label{place}": ibis.ifelse(both.old, both[f"of{place}"], None)
            for place in self.columns
        }
        ready = both.mutate(**known, **counting)
        return self.source.kept(ready.drop("request_id", "label_request_id", *wanted))

    def repeated(self) -> int:
        """Count the pairs that follow another one of a labelled request."""
        total = self.repeats.agg(n=_.again.sum()).to_pyarrow()["n"][0].as_py()
        return int(total or 0)

    def of_requests(self, place: int, ids: list[str]) -> dict[str, bool | None]:
        """Return the labels of some requests, whether they count yet or not."""
        if place not in self.columns:
            return {}
        chosen = self.table.filter(_.label_request_id.isin(ids))
        rows = chosen.select("label_request_id", label=self.columns[place]).to_pyarrow()
        return {row["label_request_id"]: row["label"] for row in rows.to_pylist()}


def coverage_counts(prepared: ir.Table, place: int) -> pd.DataFrame:
    """Count the first pairs of requests by who served, both alarms, age and label of an output."""
    if f"known{place}" not in prepared.columns:
        return stacked([], COVERAGE)
    counted = count_by(
        prepared.filter(_.first_of_request),
        served=_.served,
        primary_alarm=_[f"primary_alarm{place}"],
        candidate_alarm=_[f"candidate_alarm{place}"],
        old=_.old,
        label=_[f"known{place}"],
    )
    return fetched(counted, COVERAGE)


def unknown_labels(
    source: PairSource, joined: JoinedLabels, outputs: Sequence[OutputAggregates]
) -> UnknownLabels:
    """Count the labels whose request id has no pair, of whatever flag and time.

    One that was given before the first pair is that of an earlier request, and left out. Often a
    pair of each has been found already, among those of an output.
    """
    labels = joined.table
    found = [int(each.coverage.loc[each.coverage["label"].notna(), "n"].sum()) for each in outputs]
    if not joined.repeated() and (given := _size(labels)) == max(found, default=0):
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
