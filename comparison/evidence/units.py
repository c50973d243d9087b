"""The alarms by unit, from counts by unit."""

import pandas as pd

from comparison.counts.tables import UnitAggregates
from comparison.evidence.alarms import alarms_by, sum_alarms
from flags.gate.evidence import Paired, Period, SegmentAlarms, UnitAlarms

_NANOSECONDS = 1e9


def unit_alarms(counts: UnitAggregates, alarms: Paired) -> UnitAlarms:
    """Return the alarms by unit; the number of units without an alarm is estimated."""
    total = counts.units + alarms.pairs - counts.requests
    return UnitAlarms(
        units=counts.units,
        requests=counts.requests,
        block_seconds=None if counts.block is None else counts.block / _NANOSECONDS,
        alarms=_with_total(sum_alarms(counts.blocks), total),
        once=_with_total(sum_alarms(counts.once), total),
        segments=tuple(
            SegmentAlarms(str(segment), None if pd.isna(value) else str(value), table)
            for segment, rows in counts.segments.groupby("segment", observed=True)
            for value, table in alarms_by(rows, "value")
        ),
        design_effect=counts.design_effect,
        periods=tuple(
            Period(pd.Timestamp(start).to_pydatetime(warn=False), table)
            for start, table in alarms_by(counts.hours, "period")
        ),
        hourly_design_effect=counts.hourly_design_effect,
    )


def _with_total(alarmed: Paired, total: int) -> Paired:
    """Fill up `neither`, which no check uses, to a total number of units."""
    quiet = max(0, total - alarmed.pairs)
    return Paired(alarmed.both, alarmed.primary_only, alarmed.candidate_only, quiet)
