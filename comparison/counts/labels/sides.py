"""Count labels by the assigned side: labels as outcomes of the requests that the flag drew."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.bins import real
from comparison.counts.drawn.outcome_cells import (
    CELLS,
    OutcomeCounts,
    cells_of,
    no_novelty,
    novelty_of,
    with_sums,
)
from comparison.counts.drawn.pairs import DrawnPairs, is_mixed, sizes_of
from comparison.engines.grouping import fetched, framed, row_count, summed
from comparison.engines.tables import nanoseconds
from comparison.engines.text_functions import grouping_key
from comparison.labels import Labels

_MOST_AT_ONCE: Final = 25_000_000
"""At most so many requests are grouped by unit at once: a group takes over 100 bytes of memory."""


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """The table `coverage` (candidate, labelled, n) and, if coverage is complete, the outcomes."""

    coverage: pd.DataFrame
    outcomes: OutcomeCounts | None


@dataclass(frozen=True, slots=True)
class LabelledSides:
    """The drawn requests that are old enough for a label, with their labels.

    If the majority label is negative, only the requests in `exceptions` have the column `value`.
    """

    drawn: DrawnPairs
    requests: ir.Table
    exceptions: ir.Table | None = None

    @classmethod
    def of(cls, drawn: DrawnPairs, labels: Labels, before: datetime) -> "LabelledSides":
        """Join the requests accepted before a time with their labels, once for all statements.

        Only boolean labels count: with several outputs, whether any label is positive, since no
        label may depend on who answered.
        """
        old = _old(drawn.requests, before)
        if drawn.exceptions is not None:
            return cls(drawn, old, drawn.source.cached(_old(drawn.exceptions, before)))
        if "value" in old.columns:  # joined already, in `PreparedPairs`
            return cls(drawn, old)
        table = labels.table()
        known = [table[name] for name in labels.truths]
        is_positive = ibis.or_(*(each.fill_null(False) for each in known))
        is_known = ibis.or_(*(each.notnull() for each in known))
        value = ibis.ifelse(is_positive, real(1.0), ibis.ifelse(is_known, real(0.0), None))
        rows = table.select("label_request_id", value=value)
        joined = old.left_join(rows, old.request_id == rows.label_request_id)
        return cls(drawn, drawn.source.cached(joined.drop("request_id", "label_request_id")))

    def coverage(self) -> pd.DataFrame:
        """Count the requests by arm (missing: both) and whether they have a label."""
        if self.exceptions is None:
            return _by_arm(self.requests, _.value.notnull())
        every, lacking = (
            _by_arm(rows, ibis.literal(has))
            for rows, has in ((self.requests, True), (self._lacking, False))
        )
        less = lacking.assign(labelled=True, n=-lacking["n"])
        found = summed(pd.concat([every, lacking, less], ignore_index=True), _ARMS)
        return found.loc[found["n"] > 0].reset_index(drop=True)

    def count(self, coverage: pd.DataFrame) -> OutcomeCounts:
        """Count labelled requests: a label is an outcome of its request, whenever it came."""
        has_units = self.drawn.has_units
        parts = 1 + int(coverage["n"].sum()) // _MOST_AT_ONCE if has_units else 1
        units = self._in_parts(parts)
        known = self.requests if self.exceptions is None else self.exceptions
        flips = known.filter(_.flip == 1, _.value > 0)
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

    @property
    def _lacking(self) -> ir.Table:
        """Return the requests without a label."""
        known = self.requests if self.exceptions is None else self.exceptions
        return known.filter(_.value.isnull())

    def _in_parts(self, parts: int) -> ir.Table:
        """Return the units, grouped in several parts, which limits the engine's memory.

        Parts are by the hash of the unit; without a hash, there is only one part.
        """
        unit = self.requests.unit
        if parts == 1 or not unit.type().is_integer():
            return self.drawn.source.as_view(self._units())
        number = (_.unit.fill_null(0) % parts).abs()
        some = [
            replace(
                self,
                requests=self.requests.filter(number == part),
                exceptions=None
                if self.exceptions is None
                else self.exceptions.filter(number == part),
            )
            for part in range(parts)
        ]
        return self.drawn.source.as_view(ibis.union(*(each._units() for each in some)))

    def _units(self) -> ir.Table:
        """Return the units of the labelled requests, with the sums of their labels."""
        if self.exceptions is None or not self.drawn.has_units:
            on_flips = ibis.ifelse(_.flip == 1, _.value, real(0.0))
            return self.drawn.units(self._labelled(), on_flips=on_flips, total=_.value)
        labelled, lacking = self.requests, self._lacking
        if row_count(lacking):
            labelled = labelled.filter(_.request_id.notnull()).anti_join(lacking, "request_id")
        positive = self.exceptions.filter(_.value > 0)
        flipped = positive.mutate(on_flip=(_.flip == 1).fill_null(False))
        return with_sums(self.drawn.source, self.drawn.units(labelled), flipped, 1.0)

    def _labelled(self) -> ir.Table:
        """Return the labelled requests, with their labels."""
        if self.exceptions is None:
            return self.requests.filter(_.value.notnull())
        requests = self.requests.filter(_.request_id.notnull())
        exceptions = self.exceptions.select(exception_id="request_id", other="value")
        both = requests.left_join(exceptions, requests.request_id == exceptions.exception_id)
        value = ibis.ifelse(_.exception_id.isnull(), real(0.0), _.other)
        return both.select(*requests.columns, value=value).filter(_.value.notnull())


def _old(requests: ir.Table, before: datetime) -> ir.Table:
    found = requests.filter(_.first < nanoseconds(before))
    # A key instead of the text: nothing shows the unit, and there may be millions.
    return found.mutate(unit=grouping_key(found.unit))


def _by_arm(requests: ir.Table, labelled: Any) -> pd.DataFrame:
    arm = ibis.ifelse(_.low == _.high, _.high, None)
    counts = requests.group_by(candidate=arm, labelled=labelled).agg(n=_.count())
    return framed(counts, {**_ARMS, "n": "int64"})


_ARMS: Final = {"candidate": "Int64", "labelled": "boolean"}
