"""The figures of outcomes that both the terminal and the page show."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flags.gate.evidence import Count, Evidence, Interval, NoveltyCount, OutcomeCell, OutcomeMetric
from flags.gate.number_format import plural
from flags.gate.sequences import FlipRatioSequence, UnitRatioSequence

_ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Arm:
    """The units assigned to one side, and how many of them had an event."""

    side: str
    units: int
    events: Count
    flips: int
    events_on_flips: Count


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of both arms, with a confidence sequence, and the number of units with an event."""

    name: str
    interval: Interval
    events: int


@dataclass(frozen=True, slots=True)
class OutcomeSummary:
    """The figures of one metric."""

    name: str
    unit: str
    """`requests` or `units`: what is counted."""
    by_flips: bool
    """Whether it is known for which units the sides decide differently."""
    arms: tuple[Arm, ...]
    ratios: tuple[Ratio, ...]
    novelty: tuple[NoveltyCount, ...]
    missing: tuple[str, ...]
    """Sentences about data that is missing or left out."""


def outcome_summaries(evidence: Evidence) -> tuple[OutcomeSummary, ...]:
    """Return the metrics that have counts, or a reason why there are none, in order of names."""
    shown = [each for each in evidence.outcomes if each.cells or each.obstacle]
    return tuple(_summary(each) for each in shown)


def _summary(metric: OutcomeMetric) -> OutcomeSummary:
    known = tuple(cell for cell in metric.cells if cell.flipped is not None)
    alike = tuple(cell for cell in known if not cell.flipped)
    return OutcomeSummary(
        name=metric.name,
        unit="requests" if metric.by == "request" else "units",
        by_flips=bool(known),
        arms=tuple(_arms(metric.cells)),
        ratios=tuple(
            Ratio(name, _interval(sequence), _events(cells))
            for name, sequence, cells in (
                ("by flips", FlipRatioSequence(known), known),
                ("of all units", UnitRatioSequence(metric.cells), metric.cells),
                ("where both decide alike", UnitRatioSequence(alike), alike),
            )
            if cells
        ),
        novelty=metric.novelty if any(each.candidate for each in metric.novelty) else (),
        missing=tuple(_missing(metric)),
    )


def _arms(cells: tuple[OutcomeCell, ...]) -> Iterator[Arm]:
    for side, candidate in (("primary", False), ("candidate", True)):
        mine = [cell for cell in cells if cell.candidate is candidate]
        if not mine:
            continue
        units = sum(cell.units for cell in mine)
        flips = sum(cell.units for cell in mine if cell.flipped)
        on_flips = sum(cell.units for cell in mine if cell.on_flips)
        yield Arm(side, units, Count(_events(mine), units), flips, Count(on_flips, flips))


def _events(cells: "tuple[OutcomeCell, ...] | list[OutcomeCell]") -> int:
    return sum(cell.units for cell in cells if cell.total)


def _interval(sequence: FlipRatioSequence | UnitRatioSequence) -> Interval:
    if sequence.value is None:
        return Interval(None, None, None)
    return Interval(sequence.value, *sequence.interval(_ALPHA))


def _missing(metric: OutcomeMetric) -> Iterator[str]:
    if metric.obstacle:
        yield metric.obstacle
    if metric.young_requests:
        requests = plural(metric.young_requests, "request")
        yield f"{requests} too young for it, or before a move of the flag"
    if metric.without_pair:
        yield f"{plural(metric.without_pair, 'outcome')} of a request or unit without a pair"
    if metric.outside_period:
        yield f"{plural(metric.outside_period, 'outcome')} before the request, or after the cut-off"
    if metric.lost:
        yield f"{plural(metric.lost, 'tracked outcome')} that never arrived"
    if metric.unclosed_records:
        programs = plural(metric.unclosed_records, "program")
        yield f"{programs} that tracked outcomes without a stop record"
    if metric.mixed.count:
        yield f"{plural(metric.mixed.count, 'unit')} that saw both sides"
