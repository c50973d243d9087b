"""Figures counted by unit: their sequences to pass and to fail, and their words in reasons."""

from dataclasses import replace
from typing import Final

from flags.gate.evidence import Output, Paired, SegmentAlarms, UnitAlarms, UnitRecall
from flags.gate.limit_check import FEW_UNITS
from flags.gate.number_format import plural
from flags.gate.sequences import (
    ConfidenceSequence,
    MeanSequence,
    RatioSequence,
    WorstCaseRatio,
)

INDEPENDENT: Final = 1.2
"""Largest design effect with which the blocks of a unit count as independent for a rollback."""

_NOTHING: Final = RatioSequence(Paired(0, 0, 0, 0))


def request_sequence(output: Output, alarms: Paired) -> ConfidenceSequence:
    """Return the alarm ratio by request; a missing decision counts at worst for each bound."""
    found = RatioSequence(alarms)
    if output.least is None or output.most is None:
        return found
    return WorstCaseRatio(found, RatioSequence(output.least), RatioSequence(output.most))


def unit_sequences(
    units: UnitAlarms | None,
) -> tuple[RatioSequence | None, RatioSequence | None]:
    """Return what advances and what rolls back by unit; None where nothing is counted so.

    Flips of a unit that go on from block to block are worth less to advance, and are then not
    counted to roll back: what is estimated there may not. So are requests without a unit that come
    in bursts.
    """
    if units is None:
        return None, None
    by_unit = RatioSequence(units.alarms, 1 / max(1.0, units.design_effect))
    if not units.units:
        return by_unit, _NOTHING if units.hours_effect > INDEPENDENT else RatioSequence(units.once)
    alike = units.design_effect > INDEPENDENT
    return by_unit, RatioSequence(units.once if alike else units.alarms)


def unit_recall(found: UnitRecall | None) -> tuple[MeanSequence | None, MeanSequence | None]:
    """Return the sequences of recall by unit, to pass and to fail; see `unit_sequences`.

    A unit counts with the share of its own positives, so these may depend on each other in any way.
    """
    if found is None:
        return None, None
    by_unit = MeanSequence(found.shares, -1.0, 1 / max(1.0, found.design_effect))
    alike = found.design_effect > INDEPENDENT
    return by_unit, MeanSequence(found.once if alike else found.shares, -1.0)


def has_unnamed_bursts(output: Output) -> bool:
    """Say whether flips come in bursts and no pair names a unit, so that no check may fail."""
    units = output.by_unit or output.quiet_by_unit
    return units is not None and not units.units and units.hours_effect > INDEPENDENT


def burst_words(design_effect: float, what: str = "flips") -> str:
    """Return, in words, why bursts without a unit do not roll back."""
    return (
        f"{what} come in bursts of alike requests (design effect {design_effect:.1f}) and no pair "
        "names a unit, without which requests roll nothing back: `migrate(unit=...)` names it"
    )


def unit_count(units: UnitAlarms | None) -> int:
    """Return the sample size of alarms by unit, 0 if no pair names a unit."""
    return units.alarms.pairs if units and units.units else 0


def alarms_apart(units: UnitAlarms | None, fired: int) -> int:
    """Return how many of the alarms of both sides are not alike, as far as they tell."""
    if units is None:
        return fired
    counted = units.alarms.primary.count + units.alarms.candidate.count
    return int(counted / max(1.0, units.design_effect))


def unit_words(units: UnitAlarms | None) -> str:
    """Return, in words, whether alarms were judged by unit or by request."""
    if units is None:
        return ""
    if not units.units and units.hours_effect > INDEPENDENT:
        return f"; {burst_words(units.hours_effect)}"
    if not units.units:
        return "; judged by request, no pair names a unit"
    counted = plural(units.units, "unit")
    few = f": {counted} show nothing about others" if units.units < FEW_UNITS else ""
    return f"; judged by {counted} too{few}"


def segment_units(
    units: UnitAlarms | None, segment: SegmentAlarms
) -> tuple[RatioSequence | None, RatioSequence | None]:
    """Return the segment by unit, and what it fails by: nothing where flips may be dependent."""
    if units is None:
        return None, None
    factor = 1 / max(1.0, units.design_effect)
    if not units.units:
        alike = units.hours_effect > INDEPENDENT
        fails = _NOTHING if alike else RatioSequence(_least_flips(segment.alarms, units))
        return RatioSequence(segment.alarms, factor), fails
    alike = units.design_effect > INDEPENDENT
    for each in units.segments:
        if (each.segment, each.value) == (segment.segment, segment.value):
            fails = _NOTHING if alike else RatioSequence(each.alarms)
            return RatioSequence(each.alarms, factor), fails
    return _NOTHING, _NOTHING


def _least_flips(alarms: Paired, units: UnitAlarms) -> Paired:
    """Return alarms of a segment, as if all flips that only bursts explain were in it."""
    every, left = units.alarms, units.once
    return replace(
        alarms,
        primary_only=max(0, alarms.primary_only - (every.primary_only - left.primary_only)),
        candidate_only=max(0, alarms.candidate_only - (every.candidate_only - left.candidate_only)),
    )
