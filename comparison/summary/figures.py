"""The figures of a flag's pairs: who answered, how each side fared, how answers differ.

Figures that set one side against the other come from pairs in which both sides are `ok`: the same
requests on both sides, so the traffic cannot explain a difference. What is left out is counted.
Everything here is a plain value; nothing decides (`comparison.summary.conclusion` does).
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from comparison.errors import NoPairsError
from comparison.evidence.alarms import Alarms, SegmentTable, Truths, alarm_table, by_segment
from comparison.evidence.number_format import plural
from comparison.evidence.statistics import Proportion, mean_interval, quantiles
from comparison.pairs.accounting import Accounting
from comparison.pairs.columns import SIDES, STATUSES
from comparison.pairs.reader import Pairs
from flags.gate.evidence import is_written
from flags.pairing.kinds.registry import samenesses

SCORE_QUANTILES: Final = (0.5, 0.9, 0.95, 0.99, 0.995, 1.0)
LATENCY_QUANTILES: Final = (0.5, 0.95, 0.99)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """Hold the candidate's share of the pairs made at one rollout percentage (None: unknown)."""

    rollout: float | None
    active: Proportion
    served: Proportion


@dataclass(frozen=True, slots=True)
class Traffic:
    """Say who answered. `served` and `unanswered` add up with the primary's to all pairs."""

    active: Proportion
    served: Proportion
    unanswered: Proportion
    fallback: Proportion
    by_rollout: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class SideFigures:
    """Say how one side fared: counts by status, seconds to an `ok` answer, models, errors.

    `failed` is error or timeout out of the calls that were made, so neither shed nor skipped.
    """

    side: str
    statuses: dict[str, Proportion]
    failed: Proportion
    latency: dict[float, float | None]
    models: dict[str, int]
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class OutputFigures:
    """Compare one output. Of the `paired`, `unscored` lack a finite score on a side.

    `scores` and `differences` (candidate less primary, absolute) are quantiles by probability;
    `mean_interval` is that of `mean_difference`, which has its sign; None with few pairs.
    `alarms` is None if no pair has a decision on both sides; `undecided` are scored ones without.
    `thresholds` are those that occur, per side.
    """

    output: str
    paired: int
    unscored: int
    undecided: int
    scores: dict[str, dict[float, float | None]]
    differences: dict[float, float | None]
    mean_difference: float | None
    mean_interval: tuple[float, float] | None
    thresholds: dict[str, tuple[float, ...]]
    alarms: Alarms | None
    segments: tuple[SegmentTable, ...]


SAME: Final = {each.exact: each.of for each in samenesses()}
"""What says that both sides answer the same, and what it is of."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Count the pairs in which both sides give the same answer of a kind."""

    kind: str
    share: Proportion


@dataclass(frozen=True, slots=True)
class Summary:
    """Hold every figure of a comparison. `left_out` counts unpaired pairs by what happened.

    `agreement` counts the pairs in which both sides decide alike in every output, such as the
    classes of a model; None unless several outputs are decided.
    """

    source: str
    flag: str
    pairs: int
    first: datetime
    last: datetime
    accounting: Accounting
    traffic: Traffic
    primary: SideFigures
    candidate: SideFigures
    paired: int
    left_out: dict[str, int]
    outputs: tuple[OutputFigures, ...]
    agreement: Proportion | None
    alike: dict[str, Alike]
    """By output that is not a number, the pairs in which both sides say the same."""


def summarise(pairs: Pairs) -> Summary:
    """Compute the figures of a folder of pairs. Raises NoPairsError if there is none.

    Shares lie in 0 to 1, durations are seconds. Intervals are of 95 %, for one look: Wilson's of a
    share (1927), and of a ratio of paired shares that of Bonett and Price (2006).
    """
    frame = pairs.frame
    if frame.empty or pairs.flag is None:
        raise NoPairsError(nothing_found(str(pairs.source), pairs.accounting))
    paired = frame.loc[(frame["primary_status"] == "ok") & (frame["candidate_status"] == "ok")]
    suffixes = {output: f".{output}" if place else "" for place, output in enumerate(pairs.outputs)}
    return Summary(
        source=str(pairs.source),
        flag=pairs.flag,
        pairs=len(frame),
        first=frame["time"].iloc[0].to_pydatetime(warn=False),
        last=frame["time"].iloc[-1].to_pydatetime(warn=False),
        accounting=pairs.accounting.of_flag(pairs.flag),
        traffic=_traffic(frame),
        primary=_side(frame, "primary"),
        candidate=_side(frame, "candidate"),
        paired=len(paired),
        left_out=_left_out(frame),
        outputs=tuple(_output(paired, output, suffix) for output, suffix in suffixes.items()),
        agreement=_agreement(paired, [*suffixes.values()]),
        alike=dict(_alike(paired)),
    )


def _alike(paired: pd.DataFrame) -> Iterator[tuple[str, Alike]]:
    for name in paired.columns:
        start, _dot, output = str(name).partition(".")
        what = start.removeprefix("primary_")
        other = f"candidate_{what}.{output}"
        if start.startswith("primary_") and what in SAME and other in paired:
            known = paired.loc[paired[name].notna() & paired[other].notna()]
            same = known[name].astype(str) == known[other].astype(str)
            yield output, Alike(SAME[what], Proportion.of(int(same.sum()), len(known)))


def nothing_found(source: str, read: Accounting | None) -> str:
    """Say what was read where no pair was found."""
    if read is None:
        return f"{source} holds no pairs"
    parts = (
        (1, plural(read.files, "pair file")),
        (read.lines, plural(read.lines, "line")),
        (read.foreign, plural(read.foreign, "foreign span")),
        (read.torn, f"{read.torn:,} cut off (first: {read.first_torn})"),
        (read.corrupt, f"{read.corrupt:,} corrupt (first: {read.first_corrupt})"),
    )
    return f"{source} holds no pairs: " + ", ".join(text for count, text in parts if count)


def _traffic(frame: pd.DataFrame) -> Traffic:
    total = len(frame)
    rollouts = _floats(frame, "rollout")
    parts: list[tuple[float | None, Truths]] = [
        (rollout, rollouts == rollout) for rollout in np.unique(rollouts[~np.isnan(rollouts)])
    ]
    if np.isnan(rollouts).any():
        parts.append((None, np.isnan(rollouts)))
    return Traffic(
        active=_share(frame, "active"),
        served=_share(frame, "served"),
        unanswered=Proportion.of(int(frame["served"].isna().sum()), total),
        fallback=Proportion.of(int(frame["fallback"].sum()), total),
        by_rollout=tuple(
            Share(
                rollout=None if rollout is None else float(rollout),
                active=_share(frame.loc[rows], "active"),
                served=_share(frame.loc[rows], "served"),
            )
            for rollout, rows in parts
        ),
    )


def _share(frame: pd.DataFrame, column: str) -> Proportion:
    return Proportion.of(int((frame[column] == "candidate").sum()), len(frame))


def _side(frame: pd.DataFrame, side: str) -> SideFigures:
    counts = _counts(frame[f"{side}_status"])
    failed = counts.get("error", 0) + counts.get("timeout", 0)
    answered = (frame[f"{side}_status"] == "ok").to_numpy(dtype=bool)
    seconds = frame[f"{side}_duration"].to_numpy(dtype=np.float64)[answered]
    return SideFigures(
        side=side,
        statuses={name: Proportion.of(counts.get(name, 0), len(frame)) for name in STATUSES},
        failed=Proportion.of(failed, failed + counts.get("ok", 0)),
        latency=quantiles(seconds, LATENCY_QUANTILES),
        models=_counts(frame[f"{side}_model"]),
        errors=_counts(frame[f"{side}_error"]),
    )


def _counts(column: "pd.Series[Any]") -> dict[str, int]:
    return ordered_counts(column.value_counts().to_dict())


def ordered_counts(counts: Mapping[Any, int]) -> dict[str, int]:
    """Return the values that occur, the most frequent first, then by name."""
    found = [(str(value), int(count)) for value, count in counts.items() if count]
    return dict(sorted(found, key=lambda each: (-each[1], each[0])))


def _left_out(frame: pd.DataFrame) -> dict[str, int]:
    statuses = zip(
        frame["primary_status"].astype(object).fillna("unknown"),
        frame["candidate_status"].astype(object).fillna("unknown"),
        strict=True,
    )
    return left_out_of(Counter(statuses))


def left_out_of(counts: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Return the counts of pairs without two `ok` sides by what happened to both."""
    return ordered_counts(
        {
            " and ".join(
                f"{side} {status}"
                for side, status in zip(SIDES, both, strict=True)
                if status != "ok"
            ): count
            for both, count in counts.items()
            if both != ("ok", "ok")
        }
    )


def _output(paired: pd.DataFrame, output: str, suffix: str) -> OutputFigures:
    scores = {side: _floats(paired, f"{side}_score{suffix}") for side in SIDES}
    scored = np.isfinite(scores["primary"]) & np.isfinite(scores["candidate"])
    decisions = {side: paired[f"{side}_decision{suffix}"] for side in SIDES}
    known = decisions["primary"].notna() & decisions["candidate"].notna()
    decided = scored & known.to_numpy(bool)
    alarms = {side: decisions[side].to_numpy(dtype=bool, na_value=False)[decided] for side in SIDES}
    with np.errstate(over="ignore"):
        differences = scores["candidate"][scored] - scores["primary"][scored]
    return OutputFigures(
        output=output,
        paired=len(paired),
        unscored=int((~scored).sum()),
        undecided=int(scored.sum() - decided.sum()),
        scores={side: quantiles(scores[side][scored], SCORE_QUANTILES) for side in SIDES},
        differences=quantiles(np.abs(differences), SCORE_QUANTILES),
        mean_difference=float(differences.mean()) if differences.size else None,
        mean_interval=mean_interval(differences),
        thresholds={
            side: tuple(np.unique(_floats(paired, f"{side}_threshold{suffix}")[decided]).tolist())
            for side in SIDES
        },
        alarms=Alarms.of(alarm_table(alarms["primary"], alarms["candidate"]))
        if decided.any()
        else None,
        segments=by_segment(paired.loc[decided], alarms["primary"], alarms["candidate"]),
    )


def _agreement(paired: pd.DataFrame, suffixes: Sequence[str]) -> Proportion | None:
    decisions = [
        (paired[f"primary_decision{suffix}"], paired[f"candidate_decision{suffix}"])
        for suffix in suffixes
    ]
    decided = [both for both in decisions if any(side.notna().any() for side in both)]
    known, alike = np.ones(len(paired), dtype=bool), np.ones(len(paired), dtype=bool)
    for primary, candidate in decided:
        known &= (primary.notna() & candidate.notna()).to_numpy(dtype=bool)
        alike &= (primary == candidate).to_numpy(dtype=bool, na_value=False)
    if len(decided) < 2 or not known.any():
        return None
    return Proportion.of(int((alike & known).sum()), int(known.sum()))


def _floats(frame: pd.DataFrame, column: str) -> Floats:
    return frame[column].to_numpy(dtype=np.float64)


def as_plain(figures: Any) -> Any:
    """Return figures as JSON can hold them: keys are field names, what is not finite is null.

    Fields that are `UNWRITTEN` are left out.
    """
    if is_dataclass(figures):
        names = (field.name for field in fields(figures) if is_written(field))
        return {name: as_plain(getattr(figures, name)) for name in names}
    if isinstance(figures, dict):
        return {str(key): as_plain(value) for key, value in figures.items()}
    if isinstance(figures, tuple):
        return [as_plain(value) for value in figures]
    if isinstance(figures, datetime):
        return figures.isoformat()
    if isinstance(figures, float) and not math.isfinite(figures):
        return None
    return figures
