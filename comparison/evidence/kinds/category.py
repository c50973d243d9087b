"""The evidence on classes, from the table of the classes of both sides and the labels."""

from itertools import islice
from typing import Final

import pandas as pd

from comparison.counts.kinds.category import CategoryCounts
from comparison.evidence.kinds.levels import labelled_by_side, values_by_figure, young_labels
from comparison.evidence.kinds.parts import answer_parts
from comparison.evidence.labelling import coverage_p
from flags.gate.checks.category import (
    CategoryEvidence,
    CategoryQuality,
    ClassChange,
)
from flags.gate.checks.classes import ClassEvidence
from flags.gate.evidence import Count, Paired
from flags.pairing.text_form import normalised

MOST_SIMILAR: Final = 3
"""Largest number of groups of names that differ in case and spaces only."""

MOST_CHANGES: Final = 1_000
"""Largest number of changes from one class to another, those with most requests first."""


def evidence(counts: CategoryCounts, units: int) -> CategoryEvidence:
    """Return the evidence; `units` is the number of units in the window."""
    table = counts.classes
    read = table["primary"].notna() & table["candidate"].notna()
    answered = table.loc[read]
    labelled = answered.loc[answered["label"].notna()]
    paired = int(answered["n"].sum())
    covered = labelled_by_side(counts.coverage)
    names = sorted({*answered["primary"], *answered["candidate"]})
    others = labelled.loc[~labelled["label"].isin(names)]
    return CategoryEvidence(
        kind=counts.kind,
        name=counts.name,
        paired=paired,
        labelled=int(labelled["n"].sum()),
        units=units,
        unreadable=int(table.loc[~read, "n"].sum()),
        agreement=Count(
            int(answered.loc[answered["primary"] == answered["candidate"], "n"].sum()), paired
        ),
        classes=tuple(_class(name, answered, labelled) for name in names),
        changes=_changes(answered),
        primary=_quality(labelled, "primary"),
        candidate=_quality(labelled, "candidate"),
        parts=answer_parts(counts.parts),
        clusters=counts.levels.clusters,
        early_labels=young_labels(counts.coverage),
        levels=values_by_figure(counts.levels.table),
        coverage=covered,
        coverage_p=coverage_p(covered),
        never_predicted=Count(int(others["n"].sum()), int(labelled["n"].sum())),
        never_predicted_names=tuple(sorted({*others["label"]})[:3]),
        similar_names=_same_normal_form([*names, *others["label"]]),
    )


def _same_normal_form(names: list[str]) -> tuple[tuple[str, ...], ...]:
    """Return the first groups of names with the same normal form."""
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(normalised(name), set()).add(name)
    several = (tuple(sorted(each)) for each in found.values() if len(each) > 1)
    return tuple(islice(several, MOST_SIMILAR))


def _class(name: str, answered: pd.DataFrame, labelled: pd.DataFrame) -> ClassEvidence:
    positive = labelled.loc[labelled["label"] == name]
    return ClassEvidence(name, _paired(answered, name), _paired(positive, name))


def _paired(rows: pd.DataFrame, name: str) -> Paired:
    primary, candidate, n = rows["primary"] == name, rows["candidate"] == name, rows["n"]
    return Paired(
        both=int(n[primary & candidate].sum()),
        primary_only=int(n[primary & ~candidate].sum()),
        candidate_only=int(n[candidate & ~primary].sum()),
        neither=int(n[~primary & ~candidate].sum()),
    )


def _changes(answered: pd.DataFrame) -> tuple[ClassChange, ...]:
    differ = answered.loc[answered["primary"] != answered["candidate"]]
    sums = differ.groupby(["primary", "candidate"], sort=True)["n"].sum()
    largest = sums.sort_values(ascending=False, kind="stable").head(MOST_CHANGES)
    keys = largest.index.to_list()
    return tuple(
        ClassChange(str(primary), str(candidate), int(n))
        for (primary, candidate), n in zip(keys, largest.tolist(), strict=True)
    )


def _quality(labelled: pd.DataFrame, side: str) -> CategoryQuality | None:
    """Return the quality of a side; averages are over the classes of its labels and answers."""
    total = int(labelled["n"].sum())
    if not total:
        return None
    right = labelled[side] == labelled["label"]
    hits = labelled.loc[right].groupby("label")["n"].sum()
    true = labelled.groupby("label")["n"].sum()
    given = labelled.groupby(side)["n"].sum()
    scores = [
        2 * hits.get(name, 0) / (true.get(name, 0) + given.get(name, 0))
        for name in sorted({*true.index, *given.index})
    ]
    recalls = [hits.get(name, 0) / n for name, n in true.items()]
    known = labelled.loc[labelled[f"{side}_top"].notna()]
    in_top = int(known.loc[known[f"{side}_top"].astype(bool), "n"].sum())
    return CategoryQuality(
        accuracy=Count(int(labelled.loc[right, "n"].sum()), total),
        macro_f1=float(sum(scores) / len(scores)),
        macro_recall=float(sum(recalls) / len(recalls)),
        top_k_accuracy=Count(in_top, int(known["n"].sum())) if len(known) else None,
        chance_accuracy=float(sum(int(n) * given.get(name, 0) for name, n in true.items()))
        / total**2,
    )
