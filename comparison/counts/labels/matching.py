"""Labels matched with the pairs of a step: which requests have another label than nearly all.

An engine that joins millions of labels holds the ids of all of them, and the pairs with them. But
most requests are alike: they have no label yet, or nearly all have one, and most of these the same,
as where one in 200 is positive. So only those are joined that are otherwise.

Two ids with the same hash would be taken for one. So what is not joined is held against a second
hash: its sum over pairs must be that over their labels.
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

MOST: Final = 0.5
"""Share of the requests that may be otherwise: with more of them, little would be spared."""


@dataclass(frozen=True, slots=True)
class LabelMatch:
    """Say what the labels of nearly all requests are, and which requests are otherwise.

    `others` has `label_request_id`, the columns of `usual`, and `is_labelled`: the labels that are
    not the usual ones, and the requests of pairs that have none. Where it is usual to have none,
    `others` are all labels.
    """

    usual: Mapping[str, Any]
    are_labelled: bool
    """Whether it is usual to have a label."""
    others: pa.Table
    strange: pa.Table
    """The ids of labels without a pair, or of all where it is usual to have none."""

    def literal(self, name: str) -> Any:
        """Return the usual label of a column to an engine."""
        kind = ibis.Schema.from_pyarrow(self.others.schema)[name]
        return ibis.literal(self.usual[name], type=kind)

    def labels_of(self, requests: Collection[str], name: str) -> dict[str, Any]:
        """Return the labels of some requests, in one column."""
        wanted = pc.is_in(self.others[ID], value_set=pa.array(list(requests), pa.string()))
        others = self.others.filter(wanted)
        found = dict.fromkeys(requests, self.usual[name])
        return found | dict(zip(others[ID].to_pylist(), others[name].to_pylist(), strict=True))

    @property
    def unlabelled(self) -> pa.Table:
        """Return the ids of requests without a label."""
        return self.others.filter(pc.invert(self.others["is_labelled"])).select([ID])

    @classmethod
    def of(
        cls, pairs: ir.Table, known: IdHashes, labels: ir.Table, given: IdHashes
    ) -> "LabelMatch | None":
        """Match pairs, of whose `request_id` the hashes are known, with one label a request.

        None where too many requests are otherwise, or two ids have the same hash.
        """
        engine = pairs.get_backend()
        size = given.size
        if size <= MOST * known.size:
            every = engine.to_pyarrow(labels.mutate(is_labelled=True))
            none = dict.fromkeys(name for name in labels.columns if name != ID)
            return cls(none, False, every, every.select([ID]))
        usual, rest = _usual(engine, labels)
        if usual is None:
            return None
        repeated = known.repeated
        without, strange = known.difference(given)
        if rest + len(without) > MOST * size or len(given.repeated):
            return None
        apart = _with_hashes(engine, pairs, "request_id", np.union1d(without, repeated))
        alone = _with_hashes(engine, labels, ID, np.union1d(strange, repeated))
        joined = (
            (every.check - modular_sum(some["check"])) % MODULUS
            for every, some in ((known, apart), (given, alone))
        )
        if len(set(joined)) > 1:
            return None
        unlike = ibis.or_(*(~is_value(labels[name], value) for name, value in usual.items()))
        others = engine.to_pyarrow(labels.filter(unlike).mutate(is_labelled=True))
        unlabelled = _among(apart, without).select(["request_id"]).rename_columns([ID])
        unlabelled = unlabelled.group_by(ID).aggregate([])
        unlabelled = unlabelled.append_column("is_labelled", pa.array([False] * len(unlabelled)))
        others = pa.concat_tables([others, unlabelled], promote_options="default")
        return cls(usual, True, others, _among(alone, strange).select([ID]))


def _usual(engine: Any, labels: ir.Table) -> tuple[Mapping[str, object] | None, int]:
    """Return the labels that most requests have, and how many have others; None for numbers."""
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
    """Say whether a column has a value, which may be missing."""
    return column.isnull() if value is None else (column == value).fill_null(False)


def _with_hashes(engine: Any, table: ir.Table, column: str, hashes: Hashes) -> pa.Table:
    """Return the ids of a table that have one of these hashes, with both of theirs."""
    if not len(hashes):
        types = {column: pa.string(), "hash": pa.uint64(), "check": pa.uint64()}
        return pa.schema(types).empty_table()
    wanted = ibis.memtable(pa.table({"wanted": hashes}))
    ids = table.select(column, **hash_columns(column))
    return engine.to_pyarrow(ids.semi_join(wanted, ids.hash == wanted.wanted))


def _among(ids: pa.Table, hashes: Hashes) -> pa.Table:
    return ids.filter(pa.array(np.isin(ids["hash"].to_numpy(), hashes), pa.bool_()))
