"""Simulate windows for the outputs to show: from a plausible week to hostile strings."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from comparison.evidence.labelling import coverage, coverage_p
from comparison.evidence.statistics import mcnemar_mid_p
from flags.gate.evidence import (
    DURATION_EDGES,
    Calibration,
    Count,
    Distribution,
    Drift,
    Durations,
    Evidence,
    Flip,
    Health,
    Integrity,
    Interval,
    LabelledCell,
    Labelling,
    Output,
    Paired,
    Period,
    Quality,
    Reliability,
    SegmentAlarms,
    SideQuality,
    Window,
)

FLAG = "fraud-detector-v2"
OUTPUT = "fraud_probability"
SINCE = datetime(2018, 7, 17, tzinfo=UTC)
SIDES = ("primary", "candidate")

Floats = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

HOSTILE = (
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "</style></svg><iframe src=//example.test>",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[2J\u202egnirts\x00\n",
    "a" * 400,
)
"""What a caller could send as a request id, a segment's value or a model's tag."""


@dataclass(frozen=True)
class Scores:
    """Scores of both sides on the same requests, and what they turned out to be."""

    primary: Floats
    candidate: Floats
    positive: Truths

    @classmethod
    def fraud(cls, pairs: int, *, shift: float = 0.9, seed: int = 7) -> "Scores":
        """Draw fraud-like scores: 1 % positives, a candidate that is keener and a bit better."""
        random = np.random.default_rng(seed)
        positive = random.random(pairs) < 0.01
        hidden = random.normal(size=pairs)
        primary = -4.6 + 0.9 * hidden + 3.6 * positive + 0.9 * random.normal(size=pairs)
        candidate = -4.6 + shift + 0.9 * hidden + 3.9 * positive + 0.8 * random.normal(size=pairs)
        return cls(_logistic(primary), _logistic(candidate), positive)


def _logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)), dtype=np.float64)


def paired(first: Truths, second: Truths) -> Paired:
    return Paired(
        int((first & second).sum()),
        int((first & ~second).sum()),
        int((~first & second).sum()),
        int((~first & ~second).sum()),
    )


def output(
    scores: Scores,
    *,
    name: str = OUTPUT,
    thresholds: tuple[float, float] | None = (0.5, 0.5),
    labels: bool = True,
    hours: int = 168,
    segments: Mapping[str, tuple[str | None, ...]] | None = None,
) -> Output:
    """Reduce scores to what the comparison hands over."""
    split = segments or {"channel": ("web", "app", "pos", None), "country": ("DE", "FR", "IT")}
    alarms = None
    if thresholds:
        alarms = scores.primary >= thresholds[0], scores.candidate >= thresholds[1]
    return Output(
        name=name,
        paired=len(scores.primary),
        unscored=0,
        thresholds={
            side: thresholds[at : at + 1] if thresholds else () for at, side in enumerate(SIDES)
        },
        alarms=paired(*alarms) if alarms else None,
        segments=_segments(alarms, split) if alarms else (),
        periods=_periods(alarms, hours) if alarms else (),
        flips=_flips(scores, alarms, labels) if alarms else (),
        distribution=_distribution(scores),
        quality=_quality(scores, alarms) if labels and alarms else None,
        labelling=_labelling(scores, alarms) if labels and alarms else None,
        calibration=_calibration(scores, labels) if alarms else None,
    )


def _segments(
    alarms: tuple[Truths, Truths], split: Mapping[str, tuple[str | None, ...]]
) -> tuple[SegmentAlarms, ...]:
    found = []
    for position, (segment, values) in enumerate(split.items()):
        numbers = np.random.default_rng(position).geometric(0.4, len(alarms[0])) % len(values)
        for number, value in enumerate(values):
            rows = numbers == number
            if rows.any():
                table = paired(alarms[0][rows], alarms[1][rows])
                found.append(SegmentAlarms(segment, value, table))
    return tuple(found)


def _periods(alarms: tuple[Truths, Truths], hours: int) -> tuple[Period, ...]:
    parts = (np.array_split(side, hours) for side in alarms)
    return tuple(
        Period(SINCE + timedelta(hours=hour), paired(*both))
        for hour, both in enumerate(zip(*parts, strict=True))
    )


def _flips(scores: Scores, alarms: tuple[Truths, Truths], labels: bool) -> tuple[Flip, ...]:
    rows = np.flatnonzero(alarms[0] != alarms[1])
    distance = np.abs(scores.primary - scores.candidate)[rows]
    ordered = rows[np.argsort(-distance, kind="stable")]
    kept = [ordered[alarms[1][ordered] == is_new][:50] for is_new in (True, False)]
    largest = ordered[np.isin(ordered, np.concatenate(kept))]
    return tuple(
        Flip(
            f"req-{row:08d}",
            SINCE + timedelta(seconds=int(row)),
            float(scores.primary[row]),
            float(scores.candidate[row]),
            bool(scores.positive[row]) if labels and row % 3 else None,
            is_new=bool(alarms[1][row]),
        )
        for row in largest
    )


def _distribution(scores: Scores) -> Distribution:
    probabilities = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
    both = np.concatenate([scores.primary, scores.candidate])
    edges = np.linspace(both.min(), both.max(), 51)
    joint, _, _ = np.histogram2d(scores.primary, scores.candidate, bins=[edges, edges])
    cells = np.argwhere(joint > 0)
    return Distribution(
        quantiles={
            side: {
                f"{each:g}": float(np.quantile(getattr(scores, side), each))
                for each in probabilities
            }
            for side in SIDES
        },
        psi=0.31,
        ks=0.284,
        wasserstein=0.021,
        bins=tuple(edges.tolist()),
        counts={
            "primary": tuple(joint.sum(axis=1).astype(int).tolist()),
            "candidate": tuple(joint.sum(axis=0).astype(int).tolist()),
        },
        joint=tuple((int(x), int(y), int(joint[x, y])) for x, y in cells),
    )


def _quality(scores: Scores, alarms: tuple[Truths, Truths]) -> Quality:
    positive = scores.positive
    right = paired(alarms[0] == positive, alarms[1] == positive)
    primary, candidate = (
        _side_quality(score, fired, positive, int(alarms[0].sum()))
        for score, fired in zip((scores.primary, scores.candidate), alarms, strict=True)
    )
    pairs = len(positive)
    return Quality(
        labelled=pairs,
        positives=int(positive.sum()),
        primary=primary,
        candidate=candidate,
        caught=paired(alarms[0][positive], alarms[1][positive]),
        false_alarms=paired(alarms[0][~positive], alarms[1][~positive]),
        average_precision_difference=Interval(0.089, 0.071, 0.107),
        standard_error=0.009,
        mcnemar_mid_p=mcnemar_mid_p(right.primary_only, right.candidate_only),
    )


def _labelling(scores: Scores, alarms: tuple[Truths, Truths]) -> Labelling:
    """Label nine of ten pairs, whoever answered: the candidate in one of ten."""
    rows = np.arange(len(scores.positive))
    cells = []
    for served, chosen in (("candidate", rows % 10 == 3), ("primary", rows % 10 != 3)):
        for fired in itertools.product((False, True), repeat=2):
            cell = chosen & (alarms[0] == fired[0]) & (alarms[1] == fired[1])
            known = cell & (rows // 10 % 10 != 7)
            positives = int((known & scores.positive).sum())
            total = int(cell.sum())
            cells.append(
                LabelledCell(served, *fired, total, positives, int(known.sum()) - positives)
            )
    covered = coverage(tuple(cells))
    return Labelling(tuple(cells), (), covered, coverage_p(covered))


def _side_quality(score: Floats, fired: Truths, positive: Truths, volume: int) -> SideQuality:
    order = np.argsort(-score, kind="stable")
    top = np.zeros(len(score), dtype=bool)
    top[order[:volume]] = True
    hits = positive[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    bins = np.array_split(order[::-1], 10)
    caught, total, kept = (int((each & positive).sum()) for each in (fired, positive, top))
    return SideQuality(
        average_precision=float(precision[hits].mean()) if hits.any() else None,
        brier=float(((score - positive) ** 2).mean()),
        precision=Count(caught, int(fired.sum())),
        recall=Count(caught, total),
        precision_at_volume=Count(kept, volume),
        recall_at_volume=Count(kept, total),
        reliability=tuple(
            Reliability(float(score[rows].mean()), Count(int(positive[rows].sum()), len(rows)))
            for rows in bins
        ),
    )


def _calibration(scores: Scores, labels: bool) -> Calibration | None:
    volume = int((scores.primary >= 0.5).sum())
    if not volume:
        return None
    threshold = float(np.sort(scores.candidate)[-volume])
    fired = scores.candidate >= threshold
    caught = int((fired & scores.positive).sum())
    return Calibration(
        threshold=threshold,
        low=threshold - 0.01,
        high=threshold + 0.012,
        alarms=paired(scores.primary >= 0.5, fired),
        recall=Count(caught, int(scores.positive.sum())) if labels else None,
        precision=Count(caught, int(fired.sum())) if labels else None,
    )


def durations(calls: int, median: float, seed: int = 1) -> Durations:
    """Draw log-normal durations, of which one in a hundred is six times as long."""
    drawn = median * np.exp(0.35 * np.random.default_rng(seed).normal(size=calls))
    slow = np.random.default_rng(seed).random(calls) < 0.01
    bins = np.searchsorted(DURATION_EDGES, np.where(slow, 6 * drawn, drawn), side="right")
    return Durations(tuple(np.bincount(bins, minlength=len(DURATION_EDGES) + 1).tolist()))


def health(pairs: int, **changes: Any) -> Health:
    primary, candidate = pairs // 5000, pairs // 2000
    usual = Health(
        statuses={
            "primary": {"ok": pairs - primary, "error": primary},
            "candidate": {
                "ok": pairs - candidate,
                "error": candidate - candidate // 2,
                "timeout": candidate // 2,
            },
        },
        failures=Paired(0, primary, candidate, pairs - candidate - primary),
        fallbacks=Count(pairs // 20_000, pairs // 10),
        active_failures=Count(pairs // 20_000, pairs // 10),
        shed=Count(0, pairs),
        primary_served=Count(pairs - pairs // 10, pairs),
        durations={"primary": durations(pairs, 0.0042), "candidate": durations(pairs, 0.0061, 2)},
        block_ratios={},
    )
    return replace(usual, **changes)


def window(pairs: int, **changes: Any) -> Window:
    usual = Window(
        flag=FLAG,
        rollout=10.0,
        since=SINCE,
        until=SINCE + timedelta(days=7),
        first=SINCE + timedelta(seconds=2) if pairs else None,
        last=SINCE + timedelta(days=7, seconds=-3) if pairs else None,
        pairs=pairs,
        pairs_of_other_rollouts=0,
        comparable_since=SINCE,
        comparable_pairs=pairs,
    )
    return replace(usual, **changes)


def integrity(pairs: int, **changes: Any) -> Integrity:
    usual = Integrity(
        found=pairs,
        expected=pairs,
        duplicates=0,
        unreadable=0,
        candidate_active=Count(round(pairs * 0.1003), pairs),
        noise=None,
        models={"primary": {"fraud:1": pairs}, "candidate": {"fraud:2": pairs}},
        unclosed_records=(),
    )
    return replace(usual, **changes)


def evidence(pairs: int, outputs: tuple[Output, ...], **changes: Any) -> Evidence:
    usual = Evidence(
        source="pairs",
        window=window(pairs),
        integrity=integrity(pairs),
        health=health(pairs),
        outputs=outputs,
        drift=(),
        notes=(),
    )
    return replace(usual, **changes)


def realistic(pairs: int = 60_000) -> Evidence:
    """A week of canary: the candidate fires 3.2 times as often, and is the better model."""
    drift = (
        Drift("amount", pairs, 0, 0.021, 0.018, "fraud:2"),
        Drift("customer_age", pairs, pairs // 50, 0.137, 0.094, "fraud:2"),
        Drift("night_share", pairs, 0, 0.412, 0.233, "fraud:2"),
        Drift("merchant_risk", pairs, pairs, None, None, "fraud:2"),
    )
    notes = (
        "1 file cut off (first: pairs-w-00001.jsonl, after line 9): a worker was killed",
        "clocks of 2 workers differ by up to 3.2 s",
    )
    return evidence(pairs, (output(Scores.fraud(pairs)),), drift=drift, notes=notes)


def agreeing(pairs: int = 60_000) -> Evidence:
    """A candidate with the same alarms but for a few."""
    scores = Scores.fraud(pairs)
    nearly = Scores(scores.primary, scores.primary * 0.999 + 0.0004, scores.positive)
    return evidence(pairs, (output(nearly),))


def ten_rows() -> Evidence:
    return evidence(10, (output(Scores.fraud(10), labels=False, hours=1),))


def unlabelled() -> Evidence:
    return evidence(5_000, (output(Scores.fraud(5_000), labels=False),))


def one_sided_labels() -> Evidence:
    """Only what the primary answered gets labelled, and none of it was positive."""
    made = output(Scores.fraud(5_000))
    assert made.quality is not None
    nothing = Count(0, 0)
    side = replace(
        made.quality.primary, average_precision=None, recall=nothing, recall_at_volume=nothing
    )
    quality = replace(
        made.quality,
        positives=0,
        primary=side,
        candidate=side,
        caught=Paired(0, 0, 0, 0),
        average_precision_difference=Interval(None, None, None),
        standard_error=None,
    )
    covered = {"primary": Count(4_500, 4_500), "candidate": Count(0, 500)}
    labelling = Labelling((), (), covered, 1e-300)
    return evidence(5_000, (replace(made, quality=quality, labelling=labelling),))


def constant_scores() -> Evidence:
    half = np.full(1_000, 0.5)
    made = output(Scores(half, half, np.zeros(1_000, dtype=bool)))
    assert made.distribution is not None
    flat = replace(
        made.distribution,
        bins=(0.5, 0.5),
        counts={"primary": (1_000,), "candidate": (1_000,)},
        joint=((0, 0, 1_000),),
    )
    return evidence(1_000, (replace(made, distribution=flat),))


def failed_side() -> Evidence:
    """The candidate never answered: nothing is paired."""
    pairs = 1_000
    nobody = Output(
        name=OUTPUT,
        paired=0,
        unscored=0,
        thresholds={"primary": (), "candidate": ()},
        alarms=None,
        segments=(),
        periods=(),
        flips=(),
        distribution=None,
        quality=None,
        calibration=None,
    )
    failing = health(
        pairs,
        statuses={"primary": {"ok": pairs}, "candidate": {"error": pairs}},
        failures=Paired(0, 0, pairs, 0),
        fallbacks=Count(100, 100),
        durations={
            "primary": durations(pairs, 0.004),
            "candidate": Durations((0,) * (len(DURATION_EDGES) + 1)),
        },
    )
    return evidence(pairs, (nobody,), health=failing)


def no_thresholds() -> Evidence:
    """A regression: numbers far beyond [0, 1], and no alarms."""
    random = np.random.default_rng(3)
    price = random.normal(182_000, 40_000, 4_000)
    scores = Scores(price, price * 1.02 + random.normal(0, 900, 4_000), np.zeros(4_000, dtype=bool))
    return evidence(4_000, (output(scores, name="price", thresholds=None, labels=False),))


def no_pairs() -> Evidence:
    """A window in which nothing happened."""
    nothing = integrity(0, expected=None, models={"primary": {}, "candidate": {}})
    return evidence(0, (), integrity=nothing)


def hostile() -> Evidence:
    """Every string that requests, models or files can write tries to break out."""
    made = output(
        Scores.fraud(3_000), name=HOSTILE[0], segments={HOSTILE[1]: HOSTILE, "shop": HOSTILE[:2]}
    )
    flips = tuple(
        replace(flip, request_id=HOSTILE[number % len(HOSTILE)])
        for number, flip in enumerate(made.flips)
    )
    models = {side: {text: 3_000 // len(HOSTILE) for text in HOSTILE} for side in SIDES}
    return evidence(
        3_000,
        (replace(made, flips=flips),),
        source=HOSTILE[2],
        window=window(3_000, flag=HOSTILE[0]),
        integrity=integrity(3_000, models=models),
        drift=tuple(Drift(text, 3_000, 0, 0.3, 0.1, text) for text in HOSTILE),
        notes=HOSTILE,
    )


WINDOWS = {
    "realistic": realistic,
    "agreeing": agreeing,
    "ten rows": ten_rows,
    "unlabelled": unlabelled,
    "one-sided labels": one_sided_labels,
    "constant scores": constant_scores,
    "failed side": failed_side,
    "no thresholds": no_thresholds,
    "no pairs": no_pairs,
    "hostile": hostile,
}
"""By what is special about them."""
