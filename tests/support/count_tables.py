"""Count pairs into aggregates by hand, as an engine does it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from comparison.counts.outputs.score_grid import ScoreGrid
from comparison.counts.tables import Aggregates, OutputAggregates
from comparison.engines.grouping import (
    ALARMS,
    BLOCK_DURATIONS,
    COVERAGE,
    DURATIONS,
    FEATURES,
    JOINT,
    NOISE,
    PAIRS,
    SCORES,
    SEGMENTS,
    TIME,
    TRAFFIC,
    WORKERS,
)

FLAG, OUTPUT = "fraud-detector-v2", "fraud_probability"
SINCE = datetime(2026, 3, 2, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
SIDES = ("primary", "candidate")

Values = Sequence[float] | npt.NDArray[np.float64]
Labels = Sequence[bool | None]

BY_PAIR: Final = {name: dtype for name, dtype in PAIRS.items() if dtype != TIME}
TABLES: Final = {
    "scores": SCORES,
    "joint": JOINT,
    "alarms": ALARMS,
    "segments": SEGMENTS,
    "pairs": BY_PAIR,
    "workers": WORKERS,
    "traffic": TRAFFIC,
    "durations": DURATIONS,
    "blocks": BLOCK_DURATIONS,
    "noise": NOISE,
    "coverage": COVERAGE,
    "features": FEATURES,
}


def count(name: str, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table of counts: one row per combination that occurs."""
    dtypes = TABLES[name]
    frame = pd.DataFrame({key: pd.array(columns[key], dtype=dtypes[key]) for key in dtypes})
    counts = frame.groupby(list(dtypes), dropna=False, observed=True).size()
    return counts.rename("n").reset_index().astype({**dtypes, "n": "int64"})


def rows_of(name: str, rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Return a table of counts from rows that end in their count."""
    names = [*TABLES[name], "n"]
    frame = pd.DataFrame(list(rows), columns=names)
    return frame.astype({**TABLES[name], "n": "int64"})


def output(
    primary: Values,
    candidate: Values,
    labels: Labels | npt.NDArray[Any] | None = None,
    *,
    thresholds: tuple[float | None, float | None] = (0.5, 0.5),
    hours: int = 24,
    segments: Mapping[str, Sequence[str | None]] | None = None,
    name: str = OUTPUT,
    served: str = "primary",
) -> OutputAggregates:
    """Count scores of shape (n,) each; pairs with a score that is not finite are unscored.

    With labels, all pairs are old enough for one.
    """
    scores = [np.asarray(side, dtype=np.float64) for side in (primary, candidate)]
    scored = np.isfinite(scores[0]) & np.isfinite(scores[1])
    first, second = (side[scored] for side in scores)
    label = pd.array(list(labels) if labels is not None else [None] * len(scored), dtype="boolean")
    label = label[scored]
    known = [each for each in thresholds if each is not None]
    grid = ScoreGrid.over(first, second).with_thresholds(known)
    time = pd.Timestamp(SINCE) + pd.to_timedelta(
        np.arange(len(scored)) * hours * 3600 // max(1, len(scored)), unit="s"
    )
    limits = known if len(known) == 2 else [np.nan, np.nan]
    rows = np.flatnonzero(scored & bool(len(known) == 2))
    alarms: dict[str, Any] = {
        f"{side}_alarm": score[rows] >= limit
        for side, score, limit in zip(SIDES, scores, limits, strict=True)
    }
    of_rows = label if len(rows) else label[:0]
    return OutputAggregates(
        name=name,
        grid=grid,
        thresholds={
            side: () if limit is None else (limit,)
            for side, limit in zip(SIDES, thresholds, strict=True)
        },
        unscored=int((~scored).sum()),
        unscored_by_side={
            side: int((~np.isfinite(score)).sum())
            for side, score in zip(SIDES, scores, strict=True)
        },
        scores=score_counts(grid, (first, second), label, thresholds[0]),
        joint=count(
            "joint",
            {
                "primary_score": grid.joint_scores(first),
                "candidate_score": grid.joint_scores(second),
                "label": label,
            },
        ),
        alarms=count("alarms", {"period": time[rows].floor("h"), **alarms, "label": of_rows}),
        segments=_segments(segments or {}, rows, {**alarms, "label": of_rows}),
        coverage=_coverage(served, rows, alarms, label)
        if labels is not None
        else rows_of("coverage", []),
        flips=_flips(scores, rows, time, of_rows),
    )


def score_counts(
    grid: ScoreGrid,
    scores: Sequence[npt.NDArray[np.float64]],
    label: Any,
    threshold: float | None,
) -> pd.DataFrame:
    """Count finite scores of both sides, shape (n,) each."""
    fired = [None] * len(label) if threshold is None else scores[0] >= threshold
    raw = np.concatenate(scores)
    rows = pd.DataFrame({"score": grid.scores(raw), "raw": raw})
    ends = rows.groupby("score")["raw"]
    return count(
        "scores",
        {
            "side": np.repeat(SIDES, len(label)),
            "score": rows["score"],
            "primary_alarm": [*fired, *fired],
            "label": [*label, *label],
            "low": ends.transform("min"),
            "high": ends.transform("max"),
        },
    )


def _coverage(
    served: str, rows: npt.NDArray[Any], alarms: dict[str, Any], label: Any
) -> pd.DataFrame:
    known: dict[str, Any] = {name: pd.array([None] * len(label), "boolean") for name in alarms}
    if len(rows):
        known = {name: pd.array(fired, "boolean") for name, fired in alarms.items()}
    return count(
        "coverage",
        {"served": [served] * len(label), **known, "old": [True] * len(label), "label": label},
    )


def _segments(
    segments: Mapping[str, Sequence[str | None]], rows: npt.NDArray[Any], columns: dict[str, Any]
) -> pd.DataFrame:
    tables = [
        count(
            "segments",
            {"segment": [name] * len(rows), "value": np.array(values, object)[rows], **columns},
        )
        for name, values in segments.items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else rows_of("segments", [])


def _flips(
    scores: Sequence[npt.NDArray[np.float64]], rows: npt.NDArray[Any], time: Any, label: Any
) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "request_id": pd.array([f"r{row}" for row in rows], dtype="string"),
            "time": time[rows],
            "primary_score": scores[0][rows],
            "candidate_score": scores[1][rows],
            "candidate_alarm": pd.array(scores[1][rows] >= 0.5, dtype="boolean"),
            "label": label,
        }
    )
    differ = (frame["primary_score"] >= 0.5) != (frame["candidate_score"] >= 0.5)
    size = (frame["primary_score"] - frame["candidate_score"]).abs()
    order = size[differ].sort_values(ascending=False, kind="stable").index[:100]
    return frame.loc[order].reset_index(drop=True)


def pairs(*rows: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table of pairs; what a row does not say is the usual, `n` is 1.

    The step is at 10 %: rows of another rollout are not of it.
    """
    usual: dict[str, Any] = {
        "part": "step",
        "rollout": 10.0,
        "active": "primary",
        "served": "primary",
        "fallback": False,
        "primary_status": "ok",
        "candidate_status": "ok",
        "primary_model": "fraud:1",
        "candidate_model": "fraud:2",
        "first": pd.Timestamp(SINCE),
        "last": pd.Timestamp(UNTIL) - pd.Timedelta(seconds=1),
        "n": 1,
    }
    parted = [{"part": "step" if row.get("rollout", 10.0) == 10.0 else "other"} for row in rows]
    made = [{**usual, **part, **row} for part, row in zip(parted, rows, strict=True)]
    frame = pd.DataFrame(made, columns=list(usual))
    times = dict.fromkeys(("first", "last"), TIME)
    return frame.astype({**TABLES["pairs"], **times, "n": "int64"})


def aggregates(*outputs: OutputAggregates, **changes: Any) -> Aggregates:
    """Return aggregates of outputs, with as many pairs as the first one has, and nothing else."""
    usual: dict[str, Any] = {
        "flag": FLAG,
        "since": SINCE,
        "until": UNTIL,
        "outputs": outputs,
        "pairs": pairs({"n": int(outputs[0].joint["n"].sum())}) if outputs else pairs(),
        "feature_edges": {},
        "duplicates": 0,
        "unknown_labels": None,
        "repeated_labels": 0,
    }
    for name in ("workers", "durations", "blocks", "noise", "features"):
        usual[name] = rows_of(name, [])
    ends = [pd.Timestamp(SINCE), pd.Timestamp(UNTIL) - pd.Timedelta(seconds=1)]
    usual["traffic"] = rows_of("traffic", [[0, *ends, 1]])
    return Aggregates(**{**usual, **changes})
