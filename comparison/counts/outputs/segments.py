"""Count by the values of all segments in one statement: a row counts once for each segment."""

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
"""The column with the place of a segment in the list of segments."""


def segments_of(pairs: ir.Table) -> list[str]:
    """Return the columns of segments, sorted: sources order their columns differently."""
    return sorted(name for name in pairs.columns if name.startswith(SEGMENT))


def rows_by_segment(rows: ir.Table, segments: Sequence[str]) -> ir.Table:
    """Return each row once for each segment, with `code` and `value` instead of the segments.

    There must be at least one segment.
    """
    others = [name for name in rows.columns if not name.startswith(SEGMENT)]
    return union_of(
        [
            rows.select(*others, value=rows[name], **{SEGMENT_CODE: ibis.literal(place, "int16")})
            for place, name in enumerate(segments)
        ]
    )


def fetched_by_segment(
    outputs: ByOutput, counts: ir.Table, segments: Sequence[str], dtypes: Dtypes
) -> dict[int, pd.DataFrame]:
    """Run a query of counts by the columns of `dtypes`, with `code` instead of `segment`."""
    coded = {
        SEGMENT_CODE: "int64",
        **{name: kind for name, kind in dtypes.items() if name != "segment"},
    }
    names = np.array([name.removeprefix(SEGMENT) for name in segments], dtype=object)
    return {
        place: table.assign(segment=pd.array(names[table[SEGMENT_CODE]], "string"))[[*dtypes, "n"]]
        for place, table in outputs.fetched(counts, coded).items()
    }
