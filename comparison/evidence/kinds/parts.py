"""The evidence on segments and recent days of an output, from their counts."""

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd

from comparison.counts.kinds.parts import AGES, OLDER, PartCounts
from comparison.counts.kinds.window import LEVELS
from flags.gate.evidence import AnswerPart, PartRole, UnitShare

_RECENT: Final = ("last day", "last three days", "last week")
_KEYS: Final = ["role", "segment", "value"]


def answer_parts(counts: PartCounts) -> tuple[AnswerPart, ...]:
    """Return the whole, the last days, then the values of segments, those with most pairs first.

    Days that contain all pairs are left out, since they equal the whole.
    """
    recent = counts.sums["role"] == PartRole.RECENT
    in_order = counts.sums.loc[~recent].sort_values(
        ["segment", "n"], ascending=[True, False], kind="stable"
    )
    levels = _levels(counts.levels)
    found = [
        _part(PartRole(str(row["role"])), row["segment"], row["value"], [row], levels)
        for _, row in in_order.iterrows()
    ]
    return (*_by_age(counts.sums.loc[recent], levels), *found)


Levels = dict[tuple[str | None, ...], dict[str, dict[int, int]]]


def _levels(table: pd.DataFrame) -> Levels:
    """Return the number of units by part, figure and level."""
    found: Levels = {}
    columns = (table[name].tolist() for name in (*_KEYS, "figure", "level", "n"))
    for role, segment, value, figure, level, n in zip(*columns, strict=True):
        key = tuple(None if pd.isna(each) else str(each) for each in (role, segment, value))
        found.setdefault(key, {}).setdefault(str(figure), {})[level] = n
    return found


def _by_age(sums: pd.DataFrame, levels: Levels) -> Iterator[AnswerPart]:
    rows = {str(row["value"]): row for _, row in sums.iterrows()}
    if rows:
        yield _part(PartRole.WHOLE, "all", None, list(rows.values()), levels)
    for place, name in enumerate(_RECENT[: len(AGES)], 1):
        ages = [str(age) for age in range(place) if str(age) in rows]
        if ages and any(str(age) in rows for age in (*range(place, len(AGES)), OLDER)):
            yield _part(PartRole.RECENT, name, None, [rows[age] for age in ages], levels)


def _part(
    role: PartRole,
    segment: object,
    value: Any,
    rows: "list[pd.Series[float]]",
    levels: Levels,
) -> AnswerPart:
    """Return a part as the sum of rows."""
    added: dict[str, dict[int, int]] = {}
    for row in rows:
        key = tuple(None if pd.isna(row[name]) else str(row[name]) for name in _KEYS)
        for figure, counted in levels.get(key, {}).items():
            sums = added.setdefault(figure, {})
            for level, n in counted.items():
                sums[level] = sums.get(level, 0) + n
    names = [name for name in rows[0].index if name not in (*_KEYS, "n")]
    return AnswerPart(
        role=role,
        segment=_WORDS.get(role, "") or str(segment),
        value=None if value is None or pd.isna(value) else str(value),
        pairs=sum(int(row["n"]) for row in rows),
        sums={name: float(sum(row[name] for row in rows)) for name in names},
        levels={
            figure: tuple(UnitShare(level / LEVELS, n) for level, n in sorted(counted.items()))
            for figure, counted in added.items()
        },
    )


_WORDS: Final = {PartRole.LABELLED: "with a label", PartRole.UNLABELLED: "without a label"}
