"""Evidence for the gate to look at: everything in order, unless a test says otherwise."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flags.gate.evidence import (
    DURATION_EDGES,
    Count,
    Durations,
    Evidence,
    Health,
    Integrity,
    Interval,
    LabelledCell,
    Labelling,
    OperationalAlarmHistory,
    Output,
    Paired,
    Period,
    Quality,
    SegmentAlarms,
    SideQuality,
    Window,
)

FLAG = "fraud-detector-v2"
SINCE = datetime(2024, 7, 2, tzinfo=UTC)
PAIRS = 400_000
ALARMS = Paired(1_900, 100, 100, PAIRS - 2_100)
CAUGHT = Paired(800, 20, 80, 100)


def durations(seconds: float, calls: int) -> Durations:
    """Return calls spread evenly over a factor of four around `seconds`, and 1 in 50 ten times."""
    counts = [0] * (len(DURATION_EDGES) + 1)
    for index, edge in enumerate(DURATION_EDGES):
        if seconds / 2 <= edge < seconds * 2:
            counts[index] = 1
    each = calls // sum(counts)
    counts = [count * each for count in counts]
    slow = next(index for index, edge in enumerate(DURATION_EDGES) if edge > 10 * seconds)
    counts[slow] += calls // 50
    return Durations(tuple(counts))


def side_quality(**changes: Any) -> SideQuality:
    nothing = Count(0, 0)
    same = {"precision": nothing, "recall": nothing}
    at_volume = {"precision_at_volume": nothing, "recall_at_volume": nothing}
    figures: dict[str, Any] = {"average_precision": 0.7, "brier": 0.01, "reliability": ()}
    return SideQuality(**{**figures, **same, **at_volume, **changes})


def quality(caught: Paired = CAUGHT, labelled: int = 100_000, **changes: Any) -> Quality:
    return replace(
        Quality(
            labelled=labelled,
            positives=caught.pairs,
            primary=side_quality(),
            candidate=side_quality(),
            caught=caught,
            false_alarms=Paired(100, 50, 50, labelled),
            average_precision_difference=Interval(0.05, 0.03, 0.07),
            standard_error=0.01,
            mcnemar_mid_p=0.5,
        ),
        **changes,
    )


def periods(alarms: Paired, hours: int = 14 * 24) -> tuple[Period, ...]:
    """Spread a table over the hours of two weeks, as evenly as whole numbers can be."""

    def part(count: int, hour: int) -> int:
        return count * (hour + 1) // hours - count * hour // hours

    cells = (alarms.both, alarms.primary_only, alarms.candidate_only, alarms.neither)
    return tuple(
        Period(SINCE + timedelta(hours=hour), Paired(*(part(each, hour) for each in cells)))
        for hour in range(hours)
    )


def labelling(
    alarms: Paired = ALARMS,
    caught: Paired = CAUGHT,
    *,
    shares: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
    served: str = "primary",
    young: bool = False,
    coverage: dict[str, Count] | None = None,
    coverage_p: float | None = None,
) -> Labelling:
    """Label a share of the pairs of each cell, with so many positives among all of its pairs."""
    fields = ("both", "primary_only", "candidate_only", "neither")
    sides = ((True, True), (True, False), (False, True), (False, False))
    cells = []
    for field, fired, share in zip(fields, sides, shares, strict=True):
        pairs = getattr(alarms, field)
        positives = round(getattr(caught, field) * share)
        labelled = round(pairs * share)
        cells.append(LabelledCell(served, *fired, pairs, positives, labelled - positives))
    found = tuple(cells)
    total = sum(each.pairs for each in found), sum(each.labelled for each in found)
    covered = {served: Count(total[1], total[0])} if coverage is None else coverage
    if young:
        return Labelling((), found, {}, None)
    return Labelling(found, (), covered, coverage_p)


def labelled(
    caught: Paired = CAUGHT, alarms: Paired = ALARMS, **changes: Any
) -> dict[str, Quality | Labelling]:
    """Return quality and labelling of an output whose labels say so."""
    known = labelling(alarms, caught, **changes)
    cells = [each for each in known.old if each.labelled]
    seen = Paired(*(each.positives for each in known.old)) if known.old else Paired(0, 0, 0, 0)
    of = quality(seen, labelled=sum(each.labelled for each in cells))
    return {"quality": of, "labelling": known}


def output(
    alarms: Paired | None = ALARMS,
    segments: Sequence[SegmentAlarms] = (),
    **changes: Any,
) -> Output:
    figures: dict[str, Any] = {
        "name": "probability",
        "paired": alarms.pairs if alarms else PAIRS,
        "unscored": 0,
        "thresholds": {"primary": (0.5,), "candidate": (0.5,)},
        "alarms": alarms,
        "segments": tuple(segments),
        "periods": periods(alarms) if alarms else (),
        "flips": (),
        "distribution": None,
        "quality": None,
        "calibration": None,
    }
    if (units := changes.get("by_unit")) and not units.periods:
        changes["by_unit"] = replace(units, periods=periods(units.alarms))
    return Output(**{**figures, **changes})


def evidence(
    *outputs: Output,
    rollout: float = 0,
    held: timedelta = timedelta(days=14),
    pairs: int = PAIRS,
    window: dict[str, Any] | None = None,
    integrity: dict[str, Any] | None = None,
    health: dict[str, Any] | None = None,
    operational_alarms: Sequence[OperationalAlarmHistory] = (),
) -> Evidence:
    until = SINCE + held
    active = round(pairs * rollout / 100)
    return Evidence(
        source="pairs",
        window=replace(
            Window(FLAG, rollout, SINCE, until, SINCE, until, pairs, 0, SINCE, pairs),
            **(window or {}),
        ),
        integrity=replace(
            Integrity(
                found=pairs,
                expected=pairs,
                duplicates=0,
                unreadable=0,
                candidate_active=Count(active, pairs),
                noise=None,
                models={"primary": {"v1": pairs}, "candidate": {"v2": pairs}},
                unclosed_records=(),
            ),
            **(integrity or {}),
        ),
        health=replace(
            Health(
                statuses={"primary": {"ok": pairs}, "candidate": {"ok": pairs}},
                failures=Paired(0, 10, 10, pairs - 20),
                fallbacks=Count(0, active),
                active_failures=Count(0, 0),
                shed=Count(0, pairs),
                primary_served=Count(pairs - active, pairs),
                durations={
                    "primary": durations(0.02, pairs),
                    "candidate": durations(0.022, pairs),
                },
                block_ratios=dict.fromkeys(("latency_p50", "latency_p95", "latency_p99"), (1.1,)),
            ),
            **(health or {}),
        ),
        outputs=outputs or (output(),),
        drift=(),
        notes=(),
        operational_alarms=tuple(operational_alarms),
    )
