"""Counts by the values of all segments: one statement, in which a row is counted once for each."""

from collections.abc import Sequence
from typing import Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from comparison.counts.outputs.columns import SEGMENT
from comparison.counts.outputs.rows import ByOutput, union_of
from comparison.engines.grouping import Dtypes

SEGMENT_CODE: Final = "code"
"""The column with the place of a segment among their names."""


def segments_of(pairs: ir.Table) -> list[str]:
    """Return the columns of segments, sorted: sources differ in the order of their columns."""
    return sorted(name for name in pairs.columns if name.startswith(SEGMENT))


def rows_by_segment(rows: ir.Table, segments: Sequence[str]) -> ir.Table:
    """Return each row once for each segment, with `code` and `value` in place of the segments.

    There must be one at least.
    """
    others = [name for name in rows.columns if not name.startswith(SEGMENT)]
    return union_of(
        [
            rows.select(*others, value=rows[name], **{SEGMENT_CODE: ibis.literal(place, "int16")})
            for place, name in enumerate(segments)
        ]
    )


def fetched_by_segment(
    every: ByOutput, counts: ir.Table, segments: Sequence[str], dtypes: Dtypes
) -> dict[int, pd.DataFrame]:
    """Run a query of counts by the columns of `dtypes`, but by `code` in place of the segment."""
    coded = {
        SEGMENT_CODE: "int64",
        **{name: kind for name, kind in dtypes.items() if name != "segment"},
    }
    names = np.array([name.removeprefix(SEGMENT) for name in segments], dtype=object)
    return {
        place: table.assign(segment=pd.array(names[table[SEGMENT_CODE]], "string"))[[*dtypes, "n"]]
        for place, table in every.fetched(counts, coded).items()
    }
