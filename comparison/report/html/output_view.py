"""One output, prepared for the page: its charts, tables and flips."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from comparison.evidence.alarms import Alarms
from comparison.evidence.statistics import Ratio
from comparison.report.html.charts.alarms import Forest, alarm_rates, alarm_ratio, forest
from comparison.report.html.charts.plot import Plot
from comparison.report.html.charts.quality import reliability
from comparison.report.html.charts.ratio_axis import RatioLimits
from comparison.report.html.charts.rhythm import ratio_by_hour, ratio_by_week_day
from comparison.report.html.charts.scores import score_distribution, scores_against_each_other
from comparison.report.html.output_tables import (
    CellRow,
    Row,
    cell_rows,
    quality_rows,
    quantile_rows,
)
from flags.gate.evidence import (
    Count,
    Flip,
    Interval,
    Output,
    Paired,
)
from flags.gate.sequences import RatioSequence, ShareSequence

SEGMENT_ROWS: Final = 24
"""Values of segments that are drawn, the ones with most alarms; the JSON has all of them."""

_ALPHA: Final = 0.05
"""Error rate of the confidence sequences that are drawn."""

_HOUR: Final = 3_600
"""Seconds that a window must have for alarms per day."""


@dataclass(frozen=True, slots=True)
class BarPart:
    """One part of a bar: its CSS class, name and count, and its position from 0 to 100."""

    look: str
    name: str
    count: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class FlipList:
    """Pairs whose sides disagree in one direction; `total` includes pairs that are not listed."""

    title: str
    total: int
    flips: tuple[Flip, ...]


@dataclass(frozen=True, slots=True)
class OutputView:
    """An output with its charts and table rows; a chart with nothing to draw is None."""

    anchor: str
    output: Output
    ratio: Interval | None
    """The alarm ratio."""
    common: Interval | None
    """The share of the primary's alarms that the candidate raises too."""
    parts: tuple[BarPart, ...]
    """The bar of the alarms of either side: lost, in common, new."""
    per_day: Mapping[str, str]
    """Alarms per day, by side."""
    rates: Plot | None
    cumulative: Plot | None
    by_hour: Plot | None
    by_week_day: Plot | None
    forest: Forest | None
    more_segments: int
    distribution: Plot | None
    joint: Plot | None
    reliability: Plot | None
    quantiles: tuple[Row, ...]
    quality_rows: tuple[Row, ...]
    cells: tuple[CellRow, ...]
    flips: tuple[FlipList, ...]
    payload: str
    """The flag's JSON payload that sets the offered threshold; empty without an offer."""
    offered: Ratio | None
    """The alarm ratio at the offered threshold."""

    @classmethod
    def of(
        cls,
        output: Output,
        anchor: str,
        age: float,
        limits: RatioLimits | None,
        segment_limits: RatioLimits | None,
        break_time: datetime | None = None,
    ) -> "OutputView":
        """Draw an output. `age` of the window is in seconds; the limits are of alarm ratios.

        `break_time` is when the alarm ratio changed.
        """
        alarms, described = output.alarms, output.distribution
        shown = sorted(output.segments, key=lambda each: -_fired(each.alarms))[:SEGMENT_ROWS]
        shown.sort(
            key=lambda each: [other.segment for other in output.segments].index(each.segment)
        )
        quality = output.quality
        curves = (
            {"primary": quality.primary.reliability, "candidate": quality.candidate.reliability}
            if quality
            else {}
        )
        return cls(
            anchor=anchor,
            output=output,
            ratio=confidence_sequence(alarms) if alarms else None,
            common=_common(alarms) if alarms and alarms.primary.count else None,
            parts=_parts(alarms) if alarms else (),
            per_day=_per_day(alarms, age),
            rates=alarm_rates(f"{anchor}-rates", output.periods, break_time),
            cumulative=alarm_ratio(
                f"{anchor}-ratio", output.periods, confidence_sequence, limits, break_time
            ),
            by_hour=ratio_by_hour(f"{anchor}-hour", output.periods, confidence_sequence, limits),
            by_week_day=ratio_by_week_day(
                f"{anchor}-day", output.periods, confidence_sequence, limits
            ),
            forest=forest(shown, alarms, confidence_sequence, segment_limits) if alarms else None,
            more_segments=len(output.segments) - len(shown),
            distribution=score_distribution(f"{anchor}-scores", described, output.thresholds)
            if described
            else None,
            joint=scores_against_each_other(f"{anchor}-joint", described, output.thresholds, alarms)
            if described
            else None,
            reliability=reliability(f"{anchor}-reliability", curves),
            quantiles=quantile_rows(described) if described else (),
            quality_rows=quality_rows(quality) if quality else (),
            cells=cell_rows(output.labelling) if output.labelling else (),
            flips=tuple(_flip_lists(output)),
            payload=_payload(output),
            offered=Alarms.of(output.calibration.alarms).ratio if output.calibration else None,
        )


def confidence_sequence(alarms: Paired) -> Interval:
    """Return an alarm ratio with its confidence sequence of 95 %, as the gate computes it."""
    sequence = RatioSequence(alarms)
    low, high = sequence.interval(_ALPHA)
    return Interval(sequence.value, low, high)


def _common(alarms: Paired) -> Interval:
    """Return the share of alarms in common with its confidence sequence of 95 %."""
    sequence = ShareSequence(Count(alarms.both, alarms.primary.count))
    return Interval(sequence.value, *sequence.interval(_ALPHA))


def _parts(alarms: Paired) -> tuple[BarPart, ...]:
    """Divide a bar by the alarms of either side; a part with alarms has a visible width."""
    counts = (
        ("lost", "only primary (lost)", alarms.primary_only),
        ("common", "in common", alarms.both),
        ("new", "only candidate (new)", alarms.candidate_only),
    )
    widths = [max(count / (_fired(alarms) or 1), 0.006 if count else 0) for *_, count in counts]
    scale = 100 / (sum(widths) or 1)
    parts, start = [], 0.0
    for (look, name, count), width in zip(counts, widths, strict=True):
        parts.append(BarPart(look, name, count, round(start, 2), round(scale * width, 2)))
        start += scale * width
    return tuple(parts)


def _flip_lists(output: Output) -> Iterator[FlipList]:
    """Split the flips by direction; a direction without flips is left out."""
    counts = output.alarms or Paired(0, 0, 0, 0)
    for title, is_new, total in (
        ("New alarms: only the candidate", True, counts.candidate_only),
        ("Lost alarms: only the primary", False, counts.primary_only),
    ):
        flips = tuple(flip for flip in output.flips if flip.is_new is is_new)
        if flips:
            yield FlipList(title, total, flips)


def _fired(alarms: Paired) -> int:
    """Return the number of pairs in which either side raises an alarm."""
    return alarms.pairs - alarms.neither


def _per_day(alarms: Paired | None, age: float) -> dict[str, str]:
    if alarms is None or age < _HOUR:
        return {"primary": "-", "candidate": "-"}
    days = age / 86_400
    return {
        "primary": f"{alarms.primary.count / days:,.1f}",
        "candidate": f"{alarms.candidate.count / days:,.1f}",
    }


def _payload(output: Output) -> str:
    if output.calibration is None:
        return ""
    return json.dumps(output.calibration.payload(output.name), ensure_ascii=False)
