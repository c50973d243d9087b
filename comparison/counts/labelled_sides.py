"""Counts of labels by the side that the flag assigned: labels as outcomes of what it drew."""

from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.outcomes import (
    CELLS,
    DrawnPairs,
    OutcomeCounts,
    cells_of,
    is_mixed,
    no_novelty,
    novelty_of,
    number,
    sizes_of,
)
from comparison.engines.grouping import fetched, framed
from comparison.engines.tables import nanoseconds
from comparison.labels import Labels


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Hold the table `coverage` (candidate, labelled, n) and, where it is whole, the outcomes."""

    coverage: pd.DataFrame
    outcomes: OutcomeCounts | None


@dataclass(frozen=True, slots=True)
class LabelledSides:
    """Hold the drawn requests that are old enough for a label, each with its label or none."""

    drawn: DrawnPairs
    requests: ir.Table
    positive: ir.Table
    """Some of them, among which all are that have a positive label."""

    @classmethod
    def of(cls, drawn: DrawnPairs, labels: Labels, before: datetime) -> "LabelledSides":
        """Join the requests accepted before a time with their labels, once for all questions.

        Labels that are truths count: of several outputs, whether any is positive, since none may
        depend on who answered.
        """
        held = drawn.requests
        if "value" in held.columns:  # joined before, with all that is counted
            old = held.filter(_.first < nanoseconds(before))
            positive = held if drawn.positive is None else drawn.positive
            return cls(drawn, old, positive.filter(_.first < nanoseconds(before)))
        table = labels.table()
        known = [table[name] for name in labels.truths]
        is_positive = ibis.or_(*(each.fill_null(False) for each in known))
        is_known = ibis.or_(*(each.notnull() for each in known))
        value = ibis.ifelse(is_positive, number(1), ibis.ifelse(is_known, number(0), None))
        rows = table.select("label_request_id", value=value)
        old = drawn.requests.filter(_.first < nanoseconds(before))
        joined = old.left_join(rows, old.request_id == rows.label_request_id)
        found = drawn.source.kept(joined.drop("request_id", "label_request_id"))
        return cls(drawn, found, found)

    def coverage(self) -> pd.DataFrame:
        """Count the requests by arm, missing where they had both, and whether they are labelled."""
        arm = ibis.ifelse(_.low == _.high, _.high, None)
        counts = self.requests.group_by(candidate=arm, labelled=_.value.notnull()).agg(n=_.count())
        return framed(counts, {"candidate": "Int64", "labelled": "boolean", "n": "int64"})

    def count(self, coverage: pd.DataFrame) -> OutcomeCounts:
        """Count what is labelled: a label is an outcome of its request, whenever it came."""
        labelled = self.requests.filter(_.value.notnull())
        on_flips = ibis.ifelse(_.flip == 1, _.value, number(0))
        source, has_units = self.drawn.source, self.drawn.has_units
        units = self.drawn.units(labelled, on_flips=on_flips, total=_.value)
        # Where each request is one, they are many: counted where they are, twice.
        units = source.kept(units) if has_units else source.named(units)
        flips = self.positive.filter(_.flip == 1, _.value > 0)
        flips = flips.select("unit", "rollout", arm=_.low, at=_.first)
        sizes = sizes_of(units)
        return OutcomeCounts(
            cells=fetched(cells_of(units.filter(~is_mixed()), 1.0, 1, sizes.block), CELLS),
            novelty=novelty_of(flips, units) if has_units else no_novelty(),
            levels=1,
            block=sizes.block,
            used=int(coverage.loc[coverage["labelled"], "n"].sum()),
            units=sizes.units,
            mixed=sizes.mixed,
        )
