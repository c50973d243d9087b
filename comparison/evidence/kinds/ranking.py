"""The evidence on a ranking, from its counts."""

import pandas as pd

from comparison.counts.kinds.ranking import RankingCounts
from comparison.evidence.kinds.levels import labelled_by_side, values_by_figure, young_labels
from comparison.evidence.kinds.parts import answer_parts
from comparison.evidence.labelling import coverage_p
from comparison.pairs.sides import SIDES
from flags.gate.checks.exposure import Exposure
from flags.gate.checks.ranking import RankingEvidence, RankingQuality, ServedQuality
from flags.gate.evidence import Count

MOST_ITEMS = 100
"""Largest number of items in the evidence, those with the largest difference first."""


def evidence(counts: RankingCounts, units: int) -> RankingEvidence:
    """Return the evidence; `units` is the number of units in the window."""
    sums, quality = counts.sums, counts.quality
    n, labelled = int(sums["n"]), int(quality["n"].sum())
    covered = labelled_by_side(counts.coverage)
    items = counts.items.loc[counts.items["item"].notna()]
    own = {side: int(counts.items[side].sum()) for side in SIDES}
    return RankingEvidence(
        kind=counts.kind,
        name=counts.name,
        paired=n,
        labelled=labelled,
        units=units,
        unreadable=int(sums["unread"]),
        depth=counts.depth,
        persistence=counts.persistence,
        overlap=sums["overlap"] / n if n else None,
        rank_biased_overlap=sums["rbo"] / n if n else None,
        same=Count(int(sums["same"]), n),
        same_first=Count(int(sums["first"]), n),
        lengths={side: sums[f"length_{side}"] / n if n else None for side in SIDES},
        empty={side: Count(int(sums[f"empty_{side}"]), n) for side in SIDES},
        items=_changed(items),
        distinct_items={side: int((items[side] > 0).sum()) for side in SIDES},
        no_longer_shown=_places(items, "primary", "candidate", own),
        newly_shown=_places(items, "candidate", "primary", own),
        items_for_half={side: _half(items[side], own[side]) for side in SIDES},
        groups=_exposures(counts.groups.sort_values("primary", ascending=False, kind="stable")),
        primary=_quality(counts, "primary"),
        candidate=_quality(counts, "candidate"),
        by_served=_by_served(quality),
        parts=answer_parts(counts.parts),
        clusters=counts.levels.clusters,
        early_labels=young_labels(counts.coverage),
        levels=values_by_figure(counts.levels.table),
        coverage=covered,
        coverage_p=coverage_p(covered),
    )


def _by_served(quality: pd.DataFrame) -> tuple[ServedQuality, ...]:
    rows = quality.to_dict("records")
    return tuple(
        ServedQuality(
            str(row["served"]), row["n"], *(float(row[f"ndcg_{s}"]) / row["n"] for s in SIDES)
        )
        for row in rows
    )


def _changed(items: pd.DataFrame) -> tuple[Exposure, ...]:
    change = (items["candidate"] - items["primary"]).abs()
    order = change.sort_values(ascending=False, kind="stable").index
    return _exposures(items.loc[order].head(MOST_ITEMS))


def _exposures(rows: pd.DataFrame) -> tuple[Exposure, ...]:
    named = rows.loc[rows["item"].notna()]
    return tuple(
        Exposure(str(name), int(primary), int(candidate))
        for name, primary, candidate in zip(
            named["item"].tolist(),
            named["primary"].tolist(),
            named["candidate"].tolist(),
            strict=True,
        )
    )


def _places(items: pd.DataFrame, side: str, other: str, own: dict[str, int]) -> Count:
    """Count the places of one side with items that the other side never lists."""
    return Count(int(items.loc[items[other] == 0, side].sum()), own[side])


def _half(shown: "pd.Series[int]", total: int) -> int | None:
    """Return the smallest number of items with half of all places; None without places."""
    sums = shown.sort_values(ascending=False).cumsum()
    enough = (2 * sums >= total).to_numpy()
    return int(enough.argmax()) + 1 if total and enough.any() else None


def _quality(counts: RankingCounts, side: str) -> RankingQuality | None:
    quality, sums = counts.quality, counts.sums
    n = int(quality["n"].sum())
    if not n:
        return None
    found, drawn = int(quality[f"found_{side}"].sum()), int(sums.get("drawn", 0))
    return RankingQuality(
        ndcg=float(quality[f"ndcg_{side}"].sum() / n),
        reciprocal_rank=float(quality[f"reciprocal_{side}"].sum() / n),
        found=Count(found, n),
        mean_place=float(quality[f"place_{side}"].sum() / found) if found else None,
        found_in_sample=Count(int(sums[f"drawn_{side}"]), drawn) if drawn else None,
        found_by_chance=sums.get(f"chance_{side}", 0.0) / drawn if drawn else 0.0,
    )
