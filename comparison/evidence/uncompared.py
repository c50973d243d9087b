"""Bounds of the alarms of a window, for any decisions of the sides that made none."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from comparison.counts.tables import OutputAggregates
from comparison.evidence.alarms import sum_alarms
from comparison.pairs.sides import SIDES
from flags.gate.blocks import total
from flags.gate.evidence import Count, Paired


@dataclass(frozen=True, slots=True)
class Uncompared:
    """The share of pairs without a decision of both sides, and the alarms in both extreme cases."""

    share: Count
    lowest: Paired
    """Alarms if each missing decision is no alarm of the candidate, or an alarm of the primary."""
    highest: Paired
    """Alarms if each missing decision is an alarm of the candidate, or none of the primary."""
    sides: Mapping[str, int]
    """By side, the pairs without its decision."""


def uncompared(output: OutputAggregates, alarms: Paired | None) -> Uncompared | None:
    """Bound the alarms over all pairs; None where no pair has any decision."""
    table = output.outside
    known = alarms or Paired(0, 0, 0, 0)
    if table is None or table.empty:
        return Uncompared(Count(0, known.pairs), known, known, {}) if alarms else None
    if alarms is None and table[["primary_alarm", "candidate_alarm"]].isna().all(axis=None):
        return None
    left_out = int(table["n"].sum())
    return Uncompared(
        Count(left_out, known.pairs + left_out),
        lowest=total((known, _filled(table, primary=True, candidate=False))),
        highest=total((known, _filled(table, primary=False, candidate=True))),
        sides={side: int(table.loc[table[f"{side}_alarm"].isna(), "n"].sum()) for side in SIDES},
    )


def _filled(table: pd.DataFrame, *, primary: bool, candidate: bool) -> Paired:
    """Count the alarms with missing decisions replaced by these."""
    sides = {"primary_alarm": primary, "candidate_alarm": candidate}
    decided = {name: table[name].fillna(value).astype(bool) for name, value in sides.items()}
    return sum_alarms(table.assign(**decided))
