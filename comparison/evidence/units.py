"""The alarms by unit that the gate asks for, from counts by unit."""

import pandas as pd

from comparison.counts.tables import UnitAggregates
from comparison.evidence.alarms import counted_alarms, counted_by
from flags.gate.evidence import Paired, Period, SegmentAlarms, UnitAlarms

_NANOSECONDS = 1e9


def unit_alarms(counts: UnitAggregates, alarms: Paired) -> UnitAlarms:
    """Return the alarms by unit; units without an alarm are estimated by those there are."""
    total = counts.units + alarms.pairs - counts.requests
    return UnitAlarms(
        units=counts.units,
        requests=counts.requests,
        block=None if counts.block is None else counts.block / _NANOSECONDS,
        alarms=_filled(counted_alarms(counts.blocks), total),
        once=_filled(counted_alarms(counts.once), total),
        segments=tuple(
            SegmentAlarms(str(segment), None if pd.isna(value) else str(value), table)
            for segment, rows in counts.segments.groupby("segment", observed=True)
            for value, table in counted_by(rows, "value")
        ),
        design_effect=counts.design_effect,
        periods=tuple(
            Period(pd.Timestamp(start).to_pydatetime(warn=False), table)
            for start, table in counted_by(counts.hours, "period")
        ),
        hours_effect=counts.hours_effect,
    )


def _filled(alarmed: Paired, total: int) -> Paired:
    """Put the units without an alarm into the fourth cell, which decides nothing."""
    quiet = max(0, total - alarmed.pairs)
    return Paired(alarmed.both, alarmed.primary_only, alarmed.candidate_only, quiet)
