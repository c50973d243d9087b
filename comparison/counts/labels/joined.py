"""Labels joined with the pairs of a step: which pair a label is of, and whether it counts yet."""

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
"""Request ids that are shown of labels without a pair."""

FEW: Final = 100_000
"""Pairs that the engine joins with all labels: to match them would take longer."""

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
    size: int
    """Pairs of the step."""
    used: tuple[str, ...]
    """All columns that some output of any kind takes."""
    cutoff: datetime | None
    """Only labels of pairs accepted before count."""

    @property
    def table(self) -> ir.Table:
        """Return the labels as they are typed; only now they are read, if they are in files."""
        return self.typed.with_truths(self._rows)

    @cached_property
    def _rows(self) -> ir.Table:
        if not can_hash(self.step):
            return self.labels.table()
        return self.labels.shown(self.step.get_backend())

    def _shown(self, rows: pa.Table) -> ir.Table:
        """Show rows to the engine in this process, which then knows their number."""
        return register_table(self.step.get_backend(), f"labels_{uuid4().hex}", rows)

    @cached_property
    def _found(self) -> tuple[ir.Table | None, LabelMatch | None]:
        """Return `repeats` and `match`; the hashes of the requests are not held any longer."""
        if self.size < FEW or not can_hash(self.step):
            return repeated_requests(self.source, self.step), None
        engine = self.step.get_backend()
        known = IdHashes.of(engine, self.step, "request_id")
        given = self.labels.hashes or IdHashes.of(engine, self._given, ID)
        match = LabelMatch.of(self.step, known, self._given, given)
        self.labels.verify()
        if match is not None and TIME not in self._rows.columns:  # times are asked for again
            self._release()
        return repeated_requests(self.source, self.step, known), match

    def _release(self) -> None:
        """Hold no labels: what is matched says of most requests that theirs is the usual one."""
        if self.labels.release():
            unregister_table(self.step.get_backend(), self._rows)
            del vars(self)["_rows"]

    @property
    def repeats(self) -> ir.Table | None:
        """Return the requests of the step with several pairs, as retries have; None without any.

        Columns: `request_id`, `first` (time), `again`.
        """
        return self._found[0]

    @property
    def match(self) -> LabelMatch | None:
        """Return what the labels of nearly all requests are; None where all have to be joined."""
        return self._found[1]

    @cached_property
    def _others(self) -> ir.Table:
        assert self.match is not None  # noqa: S101 - for the type checker
        return self._shown(self.match.others)

    @property
    def _given(self) -> ir.Table:
        """Return the labels by the names that they have where they are joined with pairs."""
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
        """Say by which columns the labels are about the outputs."""
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
        """Add to `pairs`, which have `request_id` and `time`, the labels of their requests.

        `given.<column>` are as they were given, `outcome` is 1 where any of those that are truths
        is positive, 0 where all are negative. `first_of_request` says that a pair is the first of a
        request that has labels, or of one that has none; `old` that its label counts.
        """
        both, given, is_labelled = self._with_labels(pairs)
        first: Any = ibis.literal(True)
        if self.repeats is not None:
            # Of what may be missing: else ClickHouse takes what a join does not find for 1970.
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
    def usual(self) -> dict[int, bool | None] | None:
        """Return the labels of nearly all requests, by the place of an output.

        None if these are not known, or one is positive: by unit, all positives are counted.
        """
        if self.match is None:
            return None
        found = {place: self.match.usual[GIVEN + name] for place, name in self.columns.items()}
        return None if any(found.values()) else found

    @property
    def have_outcome(self) -> bool:
        """Say whether some of the labels are truths."""
        return "outcome" in (self.match.usual if self.match else self._given.columns)

    @property
    def are_negative(self) -> bool:
        """Say whether nearly all requests have a label, and no positive one."""
        return self.match is not None and self.match.usual.get("outcome") == 0

    @property
    def are_otherwise(self) -> Any:
        """Say of joined pairs that they do not count, or have not the labels of nearly all."""
        match = self.match
        assert match is not None  # noqa: S101 - for the type checker
        names = [GIVEN + name for name in self.used]
        return ~ibis.and_(_.old, *(is_value(_[name], match.usual[name]) for name in names))

    def labels_of(self, requests: Sequence[str | None]) -> dict[int, list[bool | None]]:
        """Return the labels of some requests, by the place of an output."""
        match = self.match
        assert match is not None  # noqa: S101 - for the type checker
        known = {each for each in requests if isinstance(each, str)}
        found = {}
        for place, name in self.columns.items():
            labels = match.labels_of(known, GIVEN + name)
            found[place] = [labels.get(str(each)) for each in requests]
        return found

    def _with_labels(self, pairs: ir.Table) -> tuple[ir.Table, dict[str, Any], Any]:
        """Join pairs with labels; return both, the labels, and whether there are some."""
        if self.match is None:
            labels = self._given
            both = pairs.left_join(labels, pairs.request_id == labels.label_request_id)
            given = {name: labels[name] for name in labels.columns if name != ID}
            return both, given, labels.label_request_id.notnull()
        others = self._others
        both = pairs.left_join(others, pairs.request_id == others.label_request_id)
        usual = others.label_request_id.isnull() & pairs.request_id.notnull()
        given = {
            name: ibis.ifelse(usual, self.match.literal(name), others[name])
            for name in self.match.usual
        }
        is_labelled = others.is_labelled.fill_null(False)
        return both, given, usual | is_labelled if self.match.are_labelled else is_labelled

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
        requests = self.repeats
        if self.match is None or not self.match.are_labelled:
            labels = self.table if self.match is None else self._others
            labelled = requests.semi_join(labels, requests.request_id == labels.label_request_id)
        else:
            lacking = self._shown(self.match.unlabelled)
            labelled = requests.anti_join(lacking, requests.request_id == lacking.label_request_id)
        return int(labelled.agg(n=_.again.sum()).to_pyarrow()["n"][0].as_py() or 0)

    @property
    def strange(self) -> ir.Table:
        """Return the labels that may be of no pair: those without one in the step, if known."""
        if self.match is None:
            return self.table
        strange = self._shown(self.match.strange)
        if TIME not in self.labels.facts.schema.names:
            return strange
        return self.table.semi_join(strange, "label_request_id")


def no_coverage() -> pd.DataFrame:
    """Return the table `coverage` of an output without labels."""
    return stacked([], COVERAGE)


def unknown_labels(
    source: PairSource, labels: StepLabels, outputs: Sequence[OutputAggregates], repeated: int
) -> UnknownLabels:
    """Count the labels whose request id has no pair, of whatever flag and time.

    One that was given before the first pair is that of an earlier request, and left out. Often a
    pair of each has been found already, among those of an output.
    """
    found = [int(each.coverage.loc[each.coverage["label"].notna(), "n"].sum()) for each in outputs]
    given = labels.labels.facts.size
    if not repeated and given == max(found, default=0):
        return UnknownLabels(0, given, (), ())
    pairs, strange = source.table(), labels.strange
    if TIME in strange.columns:
        first = pairs.agg(first=_.time.min()).to_pyarrow()["first"][0].as_py()
        if first is not None:
            late = (_[TIME] >= int(first)).fill_null(True)
            strange, given = strange.filter(late), row_count(labels.table.filter(late))
    without = strange.anti_join(pairs, strange.label_request_id == pairs.request_id)
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
