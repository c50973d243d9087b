"""The message about a place without pairs, which names its other content."""

from typing import Final

import ibis
from ibis import _

from comparison.engines.sources import PairSource
from comparison.engines.tables import CollectorTraces, TablePairs
from comparison.summary.figures import empty_files_message
from flags.gate.number_format import plural

_NAMED: Final = 4
"""Largest number of span names in a message, the most frequent first."""


def empty_place_message(source: PairSource) -> str:
    """Return a message on the content of a place without pairs: files, or rows of a table."""
    if isinstance(source, CollectorTraces):
        return f"{source.name} holds no pairs{_other_spans(source)}"
    if isinstance(source, TablePairs):
        rows = int(source.table().count().to_pyarrow().as_py())
        found = f"{plural(rows, 'row')} without a flag" if rows else "its table is empty"
        return f"{source.name} holds no pairs: {found}"
    return empty_files_message(source.name, source.accounting)


def _other_spans(source: CollectorTraces) -> str:
    """List the names of spans in a collector's table, with their numbers."""
    names = source.traces.group_by(name=_.SpanName).agg(n=_.count())
    total = int(names.n.sum().to_pyarrow().as_py() or 0)
    if not total:
        return ": its table of spans is empty"
    first = names.order_by(ibis.desc("n"), "name").limit(_NAMED).to_pyarrow().to_pylist()
    named = ", ".join(f"{row['name']} ({row['n']:,})" for row in first)
    more = ", ..." if sum(row["n"] for row in first) < total else ""
    return f", but {plural(total, 'other span')}: {named}{more}"
