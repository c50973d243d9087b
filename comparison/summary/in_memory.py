"""The figures of pairs in memory; `counted` computes the same from counts of an engine."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from comparison.errors import NoPairsError
from comparison.evidence.alarms import Alarms, alarm_table, by_segment
from comparison.evidence.divergence import Booleans
from comparison.evidence.statistics import Proportion, mean_interval, quantiles
from comparison.pairs.reader import Pairs
from comparison.pairs.sides import SIDES, STATUSES
from comparison.summary.figures import (
    EQUAL,
    LATENCY_QUANTILES,
    SCORE_QUANTILES,
    EqualAnswers,
    OutputFigures,
    Share,
    SideFigures,
    Summary,
    Traffic,
    empty_files_message,
    left_out_of,
    ordered_counts,
)

Floats = npt.NDArray[np.float64]


def summarise(pairs: Pairs) -> Summary:
    """Compute the figures of pairs. Raises NoPairsError without pairs.

    Shares are 0 to 1, durations are seconds. Intervals are 95 % intervals for one look: Wilson's
    (1927) for shares, Bonett and Price's (2006) for ratios of paired shares.
    """
    frame = pairs.frame
    if frame.empty or pairs.flag is None:
        raise NoPairsError(empty_files_message(str(pairs.source), pairs.accounting))
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
        equal_answers=dict(_equal_answers(paired)),
    )


def _equal_answers(paired: pd.DataFrame) -> Iterator[tuple[str, EqualAnswers]]:
    for name in paired.columns:
        start, _dot, output = str(name).partition(".")
        what = start.removeprefix("primary_")
        other = f"candidate_{what}.{output}"
        if start.startswith("primary_") and what in EQUAL and other in paired:
            known = paired.loc[paired[name].notna() & paired[other].notna()]
            same = known[name].astype(str) == known[other].astype(str)
            yield output, EqualAnswers(EQUAL[what], Proportion.of(int(same.sum()), len(known)))


def _traffic(frame: pd.DataFrame) -> Traffic:
    total = len(frame)
    rollouts = _floats(frame, "rollout")
    parts: list[tuple[float | None, Booleans]] = [
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


def _left_out(frame: pd.DataFrame) -> dict[str, int]:
    statuses = zip(
        frame["primary_status"].astype(object).fillna("unknown"),
        frame["candidate_status"].astype(object).fillna("unknown"),
        strict=True,
    )
    return left_out_of(Counter(statuses))


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
    known, same = np.ones(len(paired), dtype=bool), np.ones(len(paired), dtype=bool)
    for primary, candidate in decided:
        known &= (primary.notna() & candidate.notna()).to_numpy(dtype=bool)
        same &= (primary == candidate).to_numpy(dtype=bool, na_value=False)
    if len(decided) < 2 or not known.any():
        return None
    return Proportion.of(int((same & known).sum()), int(known.sum()))


def _floats(frame: pd.DataFrame, column: str) -> Floats:
    return frame[column].to_numpy(dtype=np.float64)
