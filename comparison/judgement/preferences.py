"""The evidence of preferences: which side's texts a judge prefers where they differ."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import ibis
import pandas as pd
from ibis import _

from comparison.engines.grouping import framed
from comparison.evidence.preferences import preference_evidence
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judges.preferences import ID, Preferences, request_ids
from flags.gate.evidence import Count, Evidence
from flags.gate.number_format import plural

_PAIR: Final = {
    ID: "string",
    "time": "int64",
    "unit": "string",
    "primary_model": "string",
    "candidate_model": "string",
}


def with_preferences(
    evidence: Evidence, flag_pairs: FlagPairs, preferences: Preferences | None
) -> Evidence:
    """Add the preferences about pairs of the window, and about pairs of one of its models twice."""
    if preferences is None:
        return evidence
    rows = preferences.frame.merge(_judged_pairs(flag_pairs, preferences), on=ID, how="left")
    unknown = rows["time"].isna()
    window = evidence.window
    begin, end = (pd.Timestamp(each).value for each in (window.comparable_since, window.until))
    same_model = (rows["primary_model"] == rows["candidate_model"]).fillna(False).astype(bool)
    inside = ((rows["time"] >= begin) & (rows["time"] < end)).fillna(False).astype(bool)
    inside &= ~same_model
    tags = {*rows.loc[inside, "primary_model"], *rows.loc[inside, "candidate_model"]}
    noise = same_model & rows["primary_model"].isin(tags)
    taken = tuple(
        preference_evidence(
            None if pd.isna(output) else str(output),
            part.loc[inside[part.index]],
            part.loc[noise[part.index]],
        )
        for output, part in rows.groupby("output", dropna=False, sort=True)
    )
    taken = tuple(each for each in taken if each.pairs or each.same_model)
    left_out = int((~unknown & ~inside & ~noise).sum())
    notes = _notes(preferences, len(rows), int(unknown.sum()), left_out)
    return replace(
        evidence,
        preferences=taken,
        unknown_preferences=Count(int(unknown.sum()), len(rows)),
        notes=(*evidence.notes, *notes),
    )


def _judged_pairs(flag_pairs: FlagPairs, preferences: Preferences) -> pd.DataFrame:
    """Return time, unit and models of the judged pairs, one row for each request id."""
    pairs = flag_pairs.source.table().filter(_.flag == flag_pairs.flag)
    columns: dict[str, Any] = {name: pairs[name] for name in _PAIR if name in pairs.columns}
    if "unit" not in columns:
        columns["unit"] = ibis.null("string")
    ids = ibis.memtable(request_ids(preferences.frame))
    rows = pairs.select(**columns).semi_join(ids, _.request_id == ids.judged_id)
    frame = framed(rows, _PAIR).sort_values("time", kind="stable")
    return frame.drop_duplicates(ID).astype({"time": "Int64"})


def _notes(preferences: Preferences, rows: int, unknown: int, left_out: int) -> Iterator[str]:
    if unknown:
        yield f"preferences: {unknown:,} of {rows:,} are about pairs that are not here"
    if left_out:
        yield (
            f"preferences: {left_out:,} left out, about pairs of other models or outside of the "
            "window"
        )
    if preferences.incomplete:
        yield (
            f"preferences: {plural(preferences.incomplete, 'pair')} left out, judged in one order "
            "only"
        )
