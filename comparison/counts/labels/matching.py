"""Match labels with the pairs of a step: find the exceptions from the majority label.

An engine that joins millions of labels holds all of their ids in memory, and the pairs too. But
most requests have the same label: either most have none yet, or nearly all have one, and most of
these the same, for example if one in 200 is positive. So only the exceptions are joined.

Two ids with the same hash would be taken for one. So the requests that are not joined are checked
with a second hash: its sum over the pairs must equal its sum over the labels.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from comparison.engines.id_hashes import MODULUS, Hashes, IdHashes, hash_columns, modular_sum

ID: Final = "label_request_id"

MAX_EXCEPTIONS: Final = 0.5
"""Largest share of exceptions: with more of them, matching would save little."""


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """The majority label of the requests, and the requests that are exceptions.

    `majority` has a value for each column of labels. `exceptions` has `label_request_id`, the
    columns of `majority`, and `is_labelled`: other labels, and the requests of pairs without a
    label. If most requests have no label, `exceptions` has all labels.
    """

    majority: Mapping[str, Any]
    are_labelled: bool
    """Whether most requests have a label."""
    exceptions: pa.Table
    unmatched: pa.Table
    """The ids of labels without a pair; if most requests have no label, the ids of all labels."""

    def literal(self, name: str) -> Any:
        """Return the majority label of a column as a constant of the engine."""
        kind = ibis.Schema.from_pyarrow(self.exceptions.schema)[name]
        return ibis.literal(self.majority[name], type=kind)

    def labels_of(self, requests: Collection[str], name: str) -> dict[str, Any]:
        """Return the labels of these requests in one column."""
        wanted = pc.is_in(self.exceptions[ID], value_set=pa.array(list(requests), pa.string()))
        others = self.exceptions.filter(wanted)
        found = dict.fromkeys(requests, self.majority[name])
        return found | dict(zip(others[ID].to_pylist(), others[name].to_pylist(), strict=True))

    @property
    def unlabelled(self) -> pa.Table:
        """Return the ids of requests without a label."""
        return self.exceptions.filter(pc.invert(self.exceptions["is_labelled"])).select([ID])

    @classmethod
    def of(
        cls, pairs: ir.Table, known: IdHashes, labels: ir.Table, given: IdHashes
    ) -> "LabelMatch | None":
        """Match pairs with labels, one per request.

        `known` are the hashes of the pairs' `request_id`, `given` those of the labels' ids. None if
        there are too many exceptions, or if two ids have the same hash.
        """
        engine = pairs.get_backend()
        size = given.size
        if size <= MAX_EXCEPTIONS * known.size:
            all_labels = engine.to_pyarrow(labels.mutate(is_labelled=True))
            none = dict.fromkeys(name for name in labels.columns if name != ID)
            return cls(none, False, all_labels, all_labels.select([ID]))
        majority, rest = _majority_label(engine, labels)
        if majority is None:
            return None
        repeated = known.repeated
        without, unmatched = known.difference(given)
        if rest + len(without) > MAX_EXCEPTIONS * size or len(given.repeated):
            return None
        pair_ids = _with_hashes(engine, pairs, "request_id", np.union1d(without, repeated))
        label_ids = _with_hashes(engine, labels, ID, np.union1d(unmatched, repeated))
        remaining = (  # sums of the second hash over all other ids
            (hashes.check - modular_sum(looked_up["check"])) % MODULUS
            for hashes, looked_up in ((known, pair_ids), (given, label_ids))
        )
        if len(set(remaining)) > 1:
            return None
        is_other = ibis.or_(*(~is_value(labels[name], value) for name, value in majority.items()))
        exceptions = engine.to_pyarrow(labels.filter(is_other).mutate(is_labelled=True))
        unlabelled = _with_hash(pair_ids, without).select(["request_id"]).rename_columns([ID])
        unlabelled = unlabelled.group_by(ID).aggregate([])
        unlabelled = unlabelled.append_column("is_labelled", pa.array([False] * len(unlabelled)))
        exceptions = pa.concat_tables([exceptions, unlabelled], promote_options="default")
        return cls(majority, True, exceptions, _with_hash(label_ids, unmatched).select([ID]))


def _majority_label(engine: Any, labels: ir.Table) -> tuple[Mapping[str, object] | None, int]:
    """Return the majority label and the number of other labels; None if labels are numbers."""
    columns = [name for name in labels.columns if name != ID]
    if not columns or any(labels[name].type().is_floating() for name in columns):
        return None, 0
    counts = labels.group_by(columns).agg(n=_.count()).order_by(ibis.desc("n"), *columns)
    found = engine.to_pyarrow(counts)
    if not len(found):
        return None, 0
    [first] = found.slice(0, 1).select(columns).to_pylist()
    return first, sum(found["n"].to_pylist()[1:])


def is_value(column: Any, value: object) -> Any:
    """Return whether a column equals a value; None equals missing."""
    return column.isnull() if value is None else (column == value).fill_null(False)


def _with_hashes(engine: Any, table: ir.Table, column: str, hashes: Hashes) -> pa.Table:
    """Return the ids of a table that have one of these hashes, with both hashes of each id."""
    if not len(hashes):
        types = {column: pa.string(), "hash": pa.uint64(), "check": pa.uint64()}
        return pa.schema(types).empty_table()
    wanted = ibis.memtable(pa.table({"wanted": hashes}))
    ids = table.select(column, **hash_columns(column))
    return engine.to_pyarrow(ids.semi_join(wanted, ids.hash == wanted.wanted))


def _with_hash(ids: pa.Table, hashes: Hashes) -> pa.Table:
    return ids.filter(pa.array(np.isin(ids["hash"].to_numpy(), hashes), pa.bool_()))
