"""What to say of a place that holds no pairs: what is there in place of them."""

from typing import Final

import ibis
from ibis import _

from comparison.engines.sources import PairSource
from comparison.engines.tables import CollectorTraces, TablePairs
from comparison.summary.figures import nothing_found
from flags.gate.number_format import plural

_NAMED: Final = 4
"""Names of spans that are told, the most frequent first."""


def nothing_in(source: PairSource) -> str:
    """Say what a place holds that has no pairs: files, or the rows of a table."""
    if isinstance(source, CollectorTraces):
        return f"{source.name} holds no pairs{_other_spans(source)}"
    if isinstance(source, TablePairs):
        rows = int(source.table().count().to_pyarrow().as_py())
        found = f"{plural(rows, 'row')} without a flag" if rows else "its table is empty"
        return f"{source.name} holds no pairs: {found}"
    return nothing_found(source.name, source.accounting)


def _other_spans(source: CollectorTraces) -> str:
    """Name the spans of a collector's table by how many there are of each."""
    names = source.traces.group_by(name=_.SpanName).agg(n=_.count())
    total = int(names.n.sum().to_pyarrow().as_py() or 0)
    if not total:
        return ": its table of spans is empty"
    first = names.order_by(ibis.desc("n"), "name").limit(_NAMED).to_pyarrow().to_pylist()
    named = ", ".join(f"{row['name']} ({row['n']:,})" for row in first)
    more = ", ..." if sum(row["n"] for row in first) < total else ""
    return f", but {plural(total, 'other span')}: {named}{more}"
