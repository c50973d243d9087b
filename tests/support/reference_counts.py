"""Count pairs with pandas alone, from the frame that has them all: what every engine must find."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from comparison.counts.bins import duration_bins
from comparison.counts.outputs.score_grid import ScoreGrid
from comparison.counts.tables import (
    Aggregates,
    OutputAggregates,
    UnitAggregates,
    UnitFailures,
    UnknownLabels,
)
from comparison.pairs.reader import AllPairs
from tests.support.count_tables import BY_PAIR

SIDES = ("primary", "candidate")
CELLS = {"primary_alarm": "boolean", "candidate_alarm": "boolean"}
COVERAGE = {"served": "string", **CELLS, "old": "boolean", "label": "boolean"}
TABLES = ("pairs", "workers", "durations", "noise", "features")
OUTPUT_TABLES = ("scores", "joint", "alarms", "segments", "coverage", "flips", "outside")
UNIT_TABLES = ("blocks", "once", "segments", "hours")
UNIT_FIGURES = ("units", "requests", "block", "is_quiet")
HOUR = 3_600_000_000_000


def assert_equal(found: Aggregates, expected: Aggregates) -> None:
    """Hold two results against each other: every table, value and dtype."""
    for name in TABLES:
        held, wanted = getattr(found, name), getattr(expected, name)
        pd.testing.assert_frame_equal(held, wanted, obj=name)
    assert [each.name for each in found.outputs] == [each.name for each in expected.outputs]
    for output, other in zip(found.outputs, expected.outputs, strict=True):
        assert_equal_outputs(output, other)
    assert found.duplicates == expected.duplicates
    assert found.drawn == expected.drawn
    assert found.errors == expected.errors
    _assert_equal_failures(found.unit_failures, expected.unit_failures)
    assert found.unknown_labels == expected.unknown_labels
    assert found.repeated_labels == expected.repeated_labels
    assert (found.flag, found.since, found.until) == (
        expected.flag,
        expected.since,
        expected.until,
    )


def assert_equal_outputs(found: OutputAggregates, expected: OutputAggregates) -> None:
    """Hold the counts of one output against each other."""
    assert found.grid == expected.grid
    assert found.thresholds == expected.thresholds
    assert found.unscored == expected.unscored
    assert found.unscored_by_side == expected.unscored_by_side
    for name in OUTPUT_TABLES:
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name), obj=name)
    _assert_equal_units(found.by_unit, expected.by_unit)


def _assert_equal_failures(found: UnitFailures | None, expected: UnitFailures | None) -> None:
    if found is None or expected is None:
        assert found is expected
        return
    pd.testing.assert_frame_equal(found.failed, expected.failed, obj="failures by unit")
    assert (found.called, found.active) == (expected.called, expected.active)


def _assert_equal_units(found: UnitAggregates | None, expected: UnitAggregates | None) -> None:
    if found is None or expected is None:
        assert found is expected
        return
    # Without units, bursts within minutes are left out: `test_units` has those.
    bursts = () if expected.units else ("once", "hours")
    for name in {*UNIT_TABLES} - {*bursts}:
        held, wanted = getattr(found, name), getattr(expected, name)
        pd.testing.assert_frame_equal(held, wanted, obj=f"units: {name}")
    for name in UNIT_FIGURES:
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("design_effect", "hourly_design_effect") if expected.units else ():
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12), name


def reference(
    every: AllPairs,
    flag: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    rollout: float | None = None,
    labels: pd.DataFrame | None = None,
    cutoff: datetime | None = None,
    edges: Mapping[str, Sequence[float]] | None = None,
) -> Aggregates:
    """Return what `comparison.counts.aggregate.count` should."""
    edges = edges or {}
    window = _in_window(every.frame, since, until)
    pairs = window.loc[window["flag"] == flag]
    step = (pairs if rollout is None else pairs.loc[pairs["rollout"] == rollout]).copy()
    for name in {"unit", "drawn", "stickiness"} - {*step.columns}:
        step[name] = pd.Series(pd.NA, index=step.index, dtype="string")
    old = pd.Series(True, index=step.index) if cutoff is None else step["time"] < cutoff
    known = {} if labels is None else dict(zip(labels["request_id"], labels["label"], strict=True))
    later = step["time"] > step.groupby("request_id")["time"].transform("min")
    later &= step["request_id"].isin(known)
    old &= ~later
    step["known"] = step["request_id"].map(known).astype("boolean").where(~later)
    step["label"] = step["known"].where(old)
    step["flip_label"] = step["request_id"].map(known).astype("boolean")
    step["old"] = old
    step["later"] = later
    unnamed = [name for name in step if name.startswith("segment.") and not step[name].count()]
    step = step.drop(columns=unnamed)
    outputs = [name for name in every.outputs if _has_scores(step, name)]
    again = _in_window(every.repeated, since, until)
    return Aggregates(
        flag=flag,
        since=since,
        until=until,
        outputs=tuple(
            _output(step, name, labelled=labels is not None and len(outputs) == 1)
            for name in outputs
        ),
        pairs=_pairs(pairs, rollout),
        traffic=_traffic(step),
        workers=_workers(every.frame, window, flag),
        durations=_durations(step),
        blocks=_block_durations(step),
        noise=_noise(step, outputs),
        features=_features(step, edges),
        feature_edges={name: tuple(each) for name, each in edges.items()},
        duplicates=int((again["flag"] == flag).sum()),
        unknown_labels=None if labels is None else _unknown(set(known), every.frame["request_id"]),
        repeated_labels=int(later.sum()),
        label_columns=() if labels is None else ("label",),
        unit_failures=_unit_failures(step) if step["unit"].notna().any() else None,
        drawn=_drawn(step),
        errors={side: _errors(step, side) for side in SIDES},
    )


def _errors(step: pd.DataFrame, side: str) -> dict[str, int]:
    """Count the exceptions of a side by type."""
    failed = step.loc[step[f"{side}_status"].isin(["error", "timeout"]), f"{side}_error"]
    return {str(name): int(n) for name, n in failed.dropna().astype(str).value_counts().items()}


def _unknown(given: set[str], ids: "pd.Series[str]") -> UnknownLabels:
    without = sorted(given - set(ids))
    pairs = sorted(ids.dropna())[:3] if without else []
    return UnknownLabels(len(without), len(given), tuple(without[:3]), tuple(pairs))


def _in_window(frame: pd.DataFrame, since: datetime | None, until: datetime | None) -> pd.DataFrame:
    time = frame["time"]
    rows = pd.Series(True, index=frame.index)
    if since is not None:
        rows &= time >= since
    if until is not None:
        rows &= time < until
    return frame.loc[rows]


def _count(frame: pd.DataFrame, dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Count combinations; rows in order of the columns, missing values last."""
    held = pd.DataFrame({name: frame[name].astype(dtype) for name, dtype in dtypes.items()})
    counts = held.groupby(list(dtypes), dropna=False, observed=True).size().rename("n")
    table = counts.reset_index().astype({**dtypes, "n": "int64"})
    return table.sort_values(list(dtypes), kind="stable", ignore_index=True)


def _has_scores(step: pd.DataFrame, output: str) -> bool:
    names = [f"{side}_score.{output}" for side in SIDES]
    return any(name in step and bool(step[name].notna().any()) for name in names)


def _output(step: pd.DataFrame, output: str, *, labelled: bool) -> OutputAggregates:
    scores = {side: step[f"{side}_score.{output}"] for side in SIDES}
    ok = (step["primary_status"] == "ok") & (step["candidate_status"] == "ok")
    scored = ok & np.isfinite(scores["primary"]) & np.isfinite(scores["candidate"])
    alarms = {side: step[f"{side}_decision.{output}"] for side in SIDES}
    decided = scored & alarms["primary"].notna() & alarms["candidate"].notna()
    used = {
        side: tuple(np.unique(step.loc[decided, f"{side}_threshold.{output}"].dropna()).tolist())
        for side in SIDES
    }
    grid = ScoreGrid.over(*(scores[side][scored] for side in SIDES))
    grid = grid.with_thresholds([*used["primary"], *used["candidate"]])
    is_short = step["time"].max() - step["time"].min() < pd.Timedelta(hours=6)
    table = pd.DataFrame(
        {
            **{f"{side}_fine": grid.scores(scores[side].where(scored, 0)) for side in SIDES},
            **{f"{side}_joint": grid.joint_scores(scores[side].where(scored, 0)) for side in SIDES},
            "fired": alarms["primary"].to_numpy(),
            **{f"{side}_alarm": alarms[side].to_numpy() for side in SIDES},
            **{f"{side}_score": scores[side].to_numpy() for side in SIDES},
            "label": step["label"].to_numpy(),
            "flip_label": step["flip_label"].to_numpy(),
            "period": step["time"].dt.floor("min" if is_short else "h").to_numpy(),
            "time": step["time"].to_numpy(),
            "request_id": step["request_id"].to_numpy(),
        },
        index=step.index,
    )
    for name in ("period", "time"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return OutputAggregates(
        name=output,
        grid=grid,
        thresholds=used,
        unscored=int((ok & ~scored).sum()),
        unscored_by_side={side: int((ok & ~np.isfinite(scores[side])).sum()) for side in SIDES},
        scores=_scores(table.loc[scored]),
        joint=_count(
            table.loc[scored]
            .drop(columns=[f"{side}_score" for side in SIDES])
            .rename(columns=lambda name: name.replace("_joint", "_score")),
            {"primary_score": "float64", "candidate_score": "float64", "label": "boolean"},
        ),
        alarms=_count(
            table.loc[decided],
            {
                "period": "datetime64[ns, UTC]",
                "primary_alarm": "boolean",
                "candidate_alarm": "boolean",
                "label": "boolean",
            },
        ),
        segments=_segments(step, table, decided),
        coverage=_coverage(step, table, decided)
        if labelled
        else _count(pd.DataFrame({name: [] for name in COVERAGE}), COVERAGE),
        flips=_flips(table.loc[decided]),
        by_unit=_units(step, table.loc[decided]) if used["candidate"] else None,
        outside=_outside(step, table, decided),
    )


def _unit_failures(step: pd.DataFrame) -> UnitFailures:
    failed = {"error", "timeout"}
    statuses = [step[f"{side}_status"] for side in SIDES]
    called = statuses[0].isin({"ok", *failed}) & statuses[1].isin({"ok", *failed})
    active = step["active"] == "candidate"
    rows = pd.DataFrame(
        {
            "who": step["unit"].fillna(step["request_id"]).astype("string"),
            "called": called,
            "primary_failed": called & statuses[0].isin(failed),
            "candidate_failed": called & statuses[1].isin(failed),
            "active": active,
            "fallbacks": active & step["fallback"].fillna(False).astype(bool),
        }
    )
    by = {name: "int64" for name in rows if name != "who"}
    units = rows.astype(by).groupby("who").sum()
    wrong = units[["primary_failed", "candidate_failed", "fallbacks"]].sum(axis=1) > 0
    alone = step["unit"].isna()

    def distinct(chosen: "pd.Series[bool]") -> int:
        return int(step.loc[chosen, "unit"].nunique() + (chosen & alone).sum())

    return UnitFailures(
        called=distinct(called), active=distinct(active), failed=_count(units.loc[wrong], by)
    )


def _drawn(step: pd.DataFrame) -> tuple[int, int] | None:
    by_field = step.loc[step["stickiness"].notna() & (step["stickiness"] != "requestId")]
    units = by_field["drawn"].fillna(by_field["unit"])
    rows = pd.DataFrame({"unit": units, "active": by_field["active"]}).dropna().drop_duplicates()
    return (int((rows["active"] == "candidate").sum()), len(rows)) if len(rows) else None


def _outside(step: pd.DataFrame, table: pd.DataFrame, decided: Any) -> pd.DataFrame:
    statuses = step[[f"{side}_status" for side in SIDES]]
    left_out = ~decided & ~(statuses == "skipped").any(axis=1)
    alarms = {}
    for side in SIDES:
        known = (step[f"{side}_status"] == "ok") & np.isfinite(table[f"{side}_score"])
        alarms[f"{side}_alarm"] = table[f"{side}_alarm"].astype("boolean").where(known)
    return _count(pd.DataFrame(alarms).loc[left_out], CELLS)


def _units(step: pd.DataFrame, decided: pd.DataFrame) -> UnitAggregates:
    named = step["unit"].notna()
    units, requests = int(step["unit"].nunique()), int(named.sum())
    time = step["time"].astype("int64")
    hours = max(1.0, (time[named].max() - time[named].min()) / HOUR) if requests else 1.0
    block = None
    if requests > 10 * units:
        rate = requests / units / hours
        block = next((size for size in (24, 4) if rate * size <= 10), 1) * HOUR
    columns = [f"{side}_alarm" for side in SIDES]
    rows = step.loc[decided.index]
    alarmed = (
        decided[columns]
        .astype(bool)
        .assign(
            who=rows["unit"].fillna(rows["request_id"]).astype("string"),
            hour=(time.loc[decided.index] // HOUR) * HOUR,
            block=0 if block is None else (time.loc[decided.index] // block).where(named, 0),
            **{name: rows[name].astype("string") for name in rows if name.startswith("segment.")},
        )
    )
    is_quiet = bool(alarmed["primary_alarm"].mean() > 0.5)
    if is_quiet:
        alarmed[columns] = ~alarmed[columns]
    alarmed = alarmed.loc[alarmed[columns].any(axis=1)]

    def once(*by: str) -> pd.DataFrame:
        return alarmed.groupby(list(by), dropna=False)[columns].max().reset_index()

    blocks = once("who", "block")
    hours = once("who", "hour")
    segments = [
        _count(
            once("who", "block", name)
            .rename(columns={name: "value"})
            .assign(segment=name.removeprefix("segment.")),
            {"segment": "string", "value": "string", **CELLS},
        )
        for name in sorted(alarmed)
        if name.startswith("segment.")
    ]
    empty = _count(
        pd.DataFrame({name: [] for name in ("segment", "value", *CELLS)}),
        {"segment": "string", "value": "string", **CELLS},
    )
    return UnitAggregates(
        units=units,
        requests=requests,
        block=block,
        blocks=_count(blocks, CELLS),
        once=_count(once("who"), CELLS),
        segments=pd.concat(segments, ignore_index=True) if segments else empty,
        design_effect=_design_effect(blocks) if block is not None else 1.0,
        hours=_count(
            hours.assign(period=pd.to_datetime(hours["hour"], utc=True)),
            {"period": "datetime64[ns, UTC]", **CELLS},
        ),
        hourly_design_effect=_design_effect(hours) if units else 1.0,
        is_quiet=is_quiet,
    )


def _design_effect(blocks: pd.DataFrame) -> float:
    flips = blocks["candidate_alarm"].astype(int) - blocks["primary_alarm"].astype(int)
    own = int((flips**2).sum())
    together = int((flips.groupby(blocks["who"]).sum() ** 2).sum())
    return together / own if own else 1.0


def _scores(scored: pd.DataFrame) -> pd.DataFrame:
    by = {"score": "float64", "primary_alarm": "boolean", "label": "boolean"}
    parts = []
    for side in SIDES:
        held = pd.DataFrame(
            {
                "score": scored[f"{side}_fine"],
                "primary_alarm": scored["fired"].astype("boolean"),
                "label": scored["label"].astype("boolean"),
                "raw": scored[f"{side}_score"] + 0.0,
            }
        )
        grouped = held.groupby(list(by), dropna=False)["raw"]
        table = grouped.agg(low="min", high="max", n="count").reset_index()
        table = table.sort_values([*by, "low", "high"], kind="stable", ignore_index=True)
        table.insert(0, "side", pd.array([side] * len(table), dtype="string"))
        parts.append(table)
    whole = pd.concat(parts, ignore_index=True)
    return whole.astype({"side": "string", **by, "low": "float64", "high": "float64", "n": "int64"})


def _segments(step: pd.DataFrame, table: pd.DataFrame, rows: Any) -> pd.DataFrame:
    dtypes = {
        "segment": "string",
        "value": "string",
        "primary_alarm": "boolean",
        "candidate_alarm": "boolean",
        "label": "boolean",
    }
    names = sorted(name for name in step.columns if name.startswith("segment."))
    parts = [
        _count(
            table.loc[rows].assign(
                segment=name.removeprefix("segment."), value=step.loc[rows, name].astype("string")
            ),
            dtypes,
        )
        for name in names
    ]
    if not parts:
        return _count(pd.DataFrame({name: [] for name in dtypes}), dtypes)
    return pd.concat(parts, ignore_index=True)


def _coverage(step: pd.DataFrame, table: pd.DataFrame, decided: Any) -> pd.DataFrame:
    alarms = {
        name: table[name].astype("boolean").where(decided) for name in COVERAGE if "alarm" in name
    }
    held = step.assign(**alarms, label=step["known"])
    return _count(held.loc[~step["later"]], COVERAGE)


def _flips(decided: pd.DataFrame) -> pd.DataFrame:
    differ = decided.loc[decided["primary_alarm"] != decided["candidate_alarm"]].copy()
    differ["size"] = (differ["primary_score"] - differ["candidate_score"]).abs()
    largest = differ.sort_values(["size", "time", "request_id"], ascending=[False, True, True])
    names = ["request_id", "time", "primary_score", "candidate_score", "candidate_alarm", "label"]
    largest = largest.assign(label=largest["flip_label"])
    kept = largest.groupby("candidate_alarm", sort=False).head(50)
    found = kept[names].reset_index(drop=True)
    return found.astype({"request_id": "string", "label": "boolean", "candidate_alarm": "boolean"})


def _pairs(pairs: pd.DataFrame, rollout: float | None) -> pd.DataFrame:
    here = pairs["rollout"] == rollout if rollout is not None else True
    pairs = pairs.assign(part=np.where(here, "step", "other"))
    held = pd.DataFrame({name: pairs[name].astype(dtype) for name, dtype in BY_PAIR.items()})
    held["time"] = pairs["time"]
    grouped = held.groupby(list(BY_PAIR), dropna=False)["time"]
    table = grouped.agg(first="min", last="max", n="count").reset_index()
    ends = {"first": "datetime64[ns, UTC]", "last": "datetime64[ns, UTC]", "n": "int64"}
    table = table.astype({**BY_PAIR, **ends})
    return table.sort_values([*BY_PAIR, "first", "last"], kind="stable", ignore_index=True)


def _workers(every: pd.DataFrame, window: pd.DataFrame, flag: str) -> pd.DataFrame:
    """Count those of each worker that made pairs of a flag: here, a worker makes those of one."""
    rows = []
    window = window.loc[window["worker"].isin(every.loc[every["flag"] == flag, "worker"])]
    for worker, seen in window.loc[window["sequence"] > 0].groupby("worker", observed=True):
        first, last = int(seen["sequence"].min()), int(seen["sequence"].max())
        numbers = every.loc[every["worker"] == worker, "sequence"]
        found = numbers[(numbers >= first) & (numbers <= last)].nunique()
        rows.append((str(worker), first, last, found))
    table = pd.DataFrame(rows, columns=["worker", "first", "last", "n"])
    return table.astype({"worker": "string", "first": "int64", "last": "int64", "n": "int64"})


def _traffic(step: pd.DataFrame) -> pd.DataFrame:
    hours = step["time"].dt.floor("h").astype("int64") // 3_600_000_000_000
    ends = step["time"].groupby(hours).agg(first="min", last="max", n="count")
    table = ends.rename_axis("hour").reset_index()
    time = "datetime64[ns, UTC]"
    return table.astype({"hour": "int64", "first": time, "last": time, "n": "int64"})


def _durations(step: pd.DataFrame) -> pd.DataFrame:
    return _by_side(step, {"side": "string", "bin": "int64"})


def _block_durations(step: pd.DataFrame) -> pd.DataFrame:
    return _by_side(step, {"block": "int64", "side": "string", "bin": "int64"})


def _by_side(step: pd.DataFrame, dtypes: Mapping[str, str]) -> pd.DataFrame:
    parts = []
    for side in SIDES:
        answered = step.loc[(step[f"{side}_status"] == "ok") & step[f"{side}_duration"].notna()]
        scaled = np.clip(answered[f"{side}_duration"].to_numpy() / 128, 0, 1)
        keys = np.floor(np.sqrt(np.sqrt(np.sqrt(scaled))) * 2**14).astype(np.int64)
        block = answered["time"].astype("int64").to_numpy() // 600_000_000_000
        parts.append(pd.DataFrame({"block": block, "side": side, "bin": duration_bins(keys)}))
    return (
        _count(pd.concat(parts), dtypes)
        .sort_values(
            ["side", *(name for name in dtypes if name != "side")],
            key=lambda held: held.map({"primary": 0, "candidate": 1}).fillna(held),
        )
        .reset_index(drop=True)
    )


def _noise(step: pd.DataFrame, outputs: Sequence[str]) -> pd.DataFrame:
    ok = (step["primary_status"] == "ok") & (step["candidate_status"] == "ok")
    models = [step[f"{side}_model"].astype("string") for side in SIDES]
    same = step.loc[ok & (models[0] == models[1]).fillna(False)]
    parts = []
    for output in outputs:
        first, second = (same[f"{side}_score.{output}"] for side in SIDES)
        known, other = np.isfinite(first), np.isfinite(second)
        differs = np.where(known & other, first != second, known != other)
        parts.append(pd.DataFrame({"output": output, "differs": differs}))
    dtypes = {"output": "string", "differs": "boolean"}
    if not parts:
        return _count(pd.DataFrame({name: [] for name in dtypes}), dtypes)
    return pd.concat([_count(part, dtypes) for part in parts], ignore_index=True)


def _features(step: pd.DataFrame, edges: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    dtypes = {"feature": "string", "bin": "int64"}
    parts = []
    for feature, bounds in edges.items():
        missing = pd.Series(np.nan, index=step.index)
        values = step.get(f"feature.{feature}", missing).to_numpy(np.float64)
        place = np.searchsorted(bounds, values, side="right")
        place = np.where(np.isfinite(values), place, -1)
        parts.append(_count(pd.DataFrame({"feature": feature, "bin": place}), dtypes))
    if not parts:
        return _count(pd.DataFrame({name: [] for name in dtypes}), dtypes)
    return pd.concat(parts, ignore_index=True)
