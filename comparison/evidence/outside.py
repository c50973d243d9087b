"""Bound the alarms of a window by the pairs in which a side decided nothing."""

from dataclasses import dataclass

import pandas as pd

from comparison.counts.tables import OutputAggregates
from comparison.evidence.alarms import counted_alarms
from flags.gate.evidence import Count, Paired


@dataclass(frozen=True, slots=True)
class Outside:
    """Hold how many pairs lie outside the comparison, and the alarms at both extremes."""

    share: Count
    least: Paired
    """Alarms if of what it did not decide the candidate alarmed nothing, the primary all."""
    most: Paired
    """Alarms if of what it did not decide the candidate alarmed all, the primary nothing."""


def outside(output: OutputAggregates, alarms: Paired | None) -> Outside | None:
    """Count every pair for both bounds; None where no pair at all has a decision."""
    table = output.outside
    known = alarms or Paired(0, 0, 0, 0)
    if table is None or table.empty:
        return Outside(Count(0, known.pairs), known, known) if alarms else None
    if alarms is None and table[["primary_alarm", "candidate_alarm"]].isna().all(axis=None):
        return None
    left_out = int(table["n"].sum())
    return Outside(
        Count(left_out, known.pairs + left_out),
        least=_added(known, _filled(table, primary=True, candidate=False)),
        most=_added(known, _filled(table, primary=False, candidate=True)),
    )


def _filled(table: pd.DataFrame, *, primary: bool, candidate: bool) -> Paired:
    """Count the pairs with these decisions in the place of those that are missing."""
    sides = {"primary_alarm": primary, "candidate_alarm": candidate}
    decided = {name: table[name].fillna(value).astype(bool) for name, value in sides.items()}
    return counted_alarms(table.assign(**decided))


def _added(one: Paired, other: Paired) -> Paired:
    return Paired(
        one.both + other.both,
        one.primary_only + other.primary_only,
        one.candidate_only + other.candidate_only,
        one.neither + other.neither,
    )
