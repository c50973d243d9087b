"""Figures counted by unit: the sequences that pass and fail a check, and words for its reason."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Final

from flags.gate.evidence import Output, Paired, Period, SegmentAlarms, UnitAlarms, UnitRecall
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

_CHANCE: Final = 0.001
"""Probability at which alarms vary by chance more than it is held possible."""

_NO_COUNTS: Final = RatioSequence(Paired(0, 0, 0, 0))
"""It never passes nor fails."""


def request_sequence(output: Output, alarms: Paired) -> ConfidenceSequence:
    """Return the alarm ratio by request; each bound counts missing decisions as the worst case."""
    sequence = RatioSequence(alarms)
    if output.lowest_alarms is None or output.highest_alarms is None:
        return sequence
    return WorstCaseRatio(
        sequence, RatioSequence(output.lowest_alarms), RatioSequence(output.highest_alarms)
    )


def unit_sequences(
    units: UnitAlarms | None,
) -> tuple[RatioSequence | None, RatioSequence | None]:
    """Return the alarm ratios by unit to advance and to roll back; None if `units` is None.

    If a unit flips in one block after the other, its design effect widens the interval to advance.
    A rollback then counts each unit once in the window, since a design effect is an estimate and no
    estimate may roll back. If requests without a unit come in bursts, nothing rolls back.
    """
    if units is None:
        return None, None
    by_unit = RatioSequence(units.alarms, 1 / max(1.0, units.design_effect))
    if not units.units:
        has_bursts = units.hourly_design_effect > INDEPENDENT
        return by_unit, _NO_COUNTS if has_bursts else RatioSequence(units.once)
    is_dependent = units.design_effect > INDEPENDENT
    return by_unit, RatioSequence(units.once if is_dependent else units.alarms)


def unit_recall(recall: UnitRecall | None) -> tuple[MeanSequence | None, MeanSequence | None]:
    """Return the sequences of recall by unit to pass and to fail; see `unit_sequences`.

    A unit counts by the share of its own positives, so these may depend on each other in any way.
    """
    if recall is None:
        return None, None
    by_unit = MeanSequence(recall.shares, -1.0, 1 / max(1.0, recall.design_effect))
    is_dependent = recall.design_effect > INDEPENDENT
    return by_unit, MeanSequence(recall.once if is_dependent else recall.shares, -1.0)


def has_unnamed_bursts(output: Output) -> bool:
    """Say whether flips come in bursts and no pair names a unit, so that no check may fail."""
    units = output.by_unit or output.no_alarms_by_unit
    return units is not None and not units.units and units.hourly_design_effect > INDEPENDENT


def burst_words(design_effect: float, what: str = "flips") -> str:
    """Return the reason why requests without a unit that come in bursts roll nothing back."""
    return (
        f"{what} come in bursts of alike requests (design effect {design_effect:.1f}) and no pair "
        "names a unit, without which requests roll nothing back: `migrate(unit=...)` names it"
    )


def unit_count(units: UnitAlarms | None) -> int:
    """Return the sample size of alarms by unit, 0 if no pair names a unit."""
    return units.alarms.pairs if units and units.units else 0


def effective_alarms(output: Output, alarms: int) -> int:
    """Return the effective number of independent alarms of both sides.

    It is their number by unit over the design effect; without `by_unit` it is `alarms`. If no pair
    names a unit, a burst may last for many minutes, so the overdispersion of periods counts too.
    """
    units = output.by_unit
    if units is None:
        return alarms
    by_unit = units.alarms.primary.count + units.alarms.candidate.count
    overdispersion = 1.0 if units.units else _overdispersion(output.periods)
    return int(by_unit / max(units.design_effect, overdispersion, 1.0))


def _overdispersion(periods: Sequence[Period]) -> float:
    """Return by how much the numbers of alarms in periods vary more than by chance; at least 1.

    It is Pearson's statistic per degree of freedom (McCullagh & Nelder, "Generalized Linear
    Models", 1989, 4.5): the size of a burst, if each lies in one period. A rate that drifts adds to
    it. If it may be chance (approximation of Wilson & Hilferty, PNAS 17 (1931)), it is 1.
    """
    parts = [each.alarms for each in periods if each.alarms.pairs]
    alarms, degrees = [each.pairs - each.neither for each in parts], len(parts) - 1
    if degrees < 1 or not any(alarms):
        return 1.0
    rate = sum(alarms) / sum(each.pairs for each in parts)
    means = [rate * each.pairs for each in parts]
    statistic = sum((n - mean) ** 2 / mean for n, mean in zip(alarms, means, strict=True))
    spread = 2 / (9 * degrees)
    by_chance = degrees * (1 - spread + NormalDist().inv_cdf(1 - _CHANCE) * math.sqrt(spread)) ** 3
    return statistic / degrees if statistic > by_chance else 1.0


def unit_words(units: UnitAlarms | None) -> str:
    """Return the words that say whether alarms were judged by unit or by request."""
    if units is None:
        return ""
    if not units.units and units.hourly_design_effect > INDEPENDENT:
        return f"; {burst_words(units.hourly_design_effect)}"
    if not units.units:
        return "; judged by request, no pair names a unit"
    counted = plural(units.units, "unit")
    few = f": {counted} show nothing about others" if units.units < FEW_UNITS else ""
    return f"; judged by {counted} too{few}"


def segment_units(
    units: UnitAlarms | None, segment: SegmentAlarms
) -> tuple[RatioSequence | None, RatioSequence | None]:
    """Return the alarm ratios of a segment by unit, to pass and to fail.

    If flips may depend on each other, the one to fail has no counts.
    """
    if units is None:
        return None, None
    factor = 1 / max(1.0, units.design_effect)
    if not units.units:
        has_bursts = units.hourly_design_effect > INDEPENDENT
        fails_by = RatioSequence(_without_excess(segment.alarms, units))
        return RatioSequence(segment.alarms, factor), _NO_COUNTS if has_bursts else fails_by
    is_dependent = units.design_effect > INDEPENDENT
    for each in units.segments:
        if (each.segment, each.value) == (segment.segment, segment.value):
            fails_by = _NO_COUNTS if is_dependent else RatioSequence(each.alarms)
            return RatioSequence(each.alarms, factor), fails_by
    return _NO_COUNTS, _NO_COUNTS


def _without_excess(alarms: Paired, units: UnitAlarms) -> Paired:
    """Return the alarms of a segment, as if all flips beyond chance in a minute were in it."""
    flips, counted = units.alarms, units.once
    primary_excess = flips.primary_only - counted.primary_only
    candidate_excess = flips.candidate_only - counted.candidate_only
    return replace(
        alarms,
        primary_only=max(0, alarms.primary_only - primary_excess),
        candidate_only=max(0, alarms.candidate_only - candidate_excess),
    )
