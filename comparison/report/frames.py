"""The figures of a comparison as DataFrames, whose columns have the same types without rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

import pandas as pd

from flags.gate.evidence import Count, Evidence, Paired
from flags.gate.verdict import Verdict

_TEXT, _NUMBER, _COUNT, _BOOL, _OPTIONAL_BOOL = "string", "float64", "int64", "bool", "boolean"

_CHECKS: Final = {
    "name": _TEXT,
    "output": _TEXT,
    "segment": _TEXT,
    "outcome": _TEXT,
    "figure": _NUMBER,
    "low": _NUMBER,
    "high": _NUMBER,
    "limit": _NUMBER,
    "n": _COUNT,
    "confidence": _NUMBER,
    "required": _BOOL,
    "rolls_back": _BOOL,
    "reason": _TEXT,
}
_ALARMS: Final = {
    "output": _TEXT,
    "segment": _TEXT,
    "value": _TEXT,
    "pairs": _COUNT,
    "both": _COUNT,
    "primary_only": _COUNT,
    "candidate_only": _COUNT,
    "neither": _COUNT,
    "primary_rate": _NUMBER,
    "candidate_rate": _NUMBER,
    "ratio": _NUMBER,
}
_SHARES: Final = ("precision", "recall", "precision_at_volume", "recall_at_volume")
_QUALITY: Final = {
    "output": _TEXT,
    "side": _TEXT,
    "labelled": _COUNT,
    "positives": _COUNT,
    "average_precision": _NUMBER,
    "brier": _NUMBER,
    **dict.fromkeys(_SHARES, _NUMBER),
}
_ANSWERS: Final = {
    "output": _TEXT,
    "kind": _TEXT,
    "paired": _COUNT,
    "labelled": _COUNT,
    "units": _COUNT,
}
_FLIPS: Final = {
    "output": _TEXT,
    "request_id": _TEXT,
    "time": "datetime64[us, UTC]",
    "primary": _NUMBER,
    "candidate": _NUMBER,
    "label": _OPTIONAL_BOOL,
    "is_new": _BOOL,
}


def checks_frame(verdict: Verdict | None) -> pd.DataFrame:
    """Return a row per check, in the order of the verdict."""
    checks = verdict.checks if verdict else ()
    return _frame(({name: getattr(each, name) for name in _CHECKS} for each in checks), _CHECKS)


def alarms_frame(evidence: Evidence) -> pd.DataFrame:
    """Return a row per output, and per value of its segments."""
    rows = []
    for output in evidence.outputs:
        if output.alarms:
            rows.append({"output": output.name, **_cells(output.alarms)})
        for each in output.segments:
            segment = {"output": output.name, "segment": each.segment, "value": each.value}
            rows.append({**segment, **_cells(each.alarms)})
    return _frame(rows, _ALARMS)


def _cells(table: Paired) -> dict[str, float | None]:
    first, second = table.primary.rate, table.candidate.rate
    cells = ("pairs", "both", "primary_only", "candidate_only", "neither")
    counts: dict[str, float | None] = {name: getattr(table, name) for name in cells}
    ratio = second / first if first and second is not None else None
    return counts | {"primary_rate": first, "candidate_rate": second, "ratio": ratio}


def quality_frame(evidence: Evidence) -> pd.DataFrame:
    """Return a row per output and side; outputs of other kinds add columns of their own."""
    rows: list[dict[str, Any]] = []
    for output in evidence.outputs:
        if (quality := output.quality) is None:
            continue
        counts = {"labelled": quality.labelled, "positives": quality.positives}
        for side, side_quality in (("primary", quality.primary), ("candidate", quality.candidate)):
            every = _figures(side_quality)
            shown = {name: every[name] for name in _QUALITY if name in every}
            rows.append({"output": output.name, "side": side, **counts, **shown})
    for each in evidence.answers:
        for side in ("primary", "candidate"):
            if (of_side := getattr(each, side, None)) is not None:
                row = {"output": each.name, "side": side, "labelled": each.labelled}
                rows.append({**row, **_figures(of_side)})
    return _frame(rows, _QUALITY)


def answers_frame(evidence: Evidence) -> pd.DataFrame:
    """Return a row per output that is not a score, with the figures that need no labels."""
    rows = ({"output": each.name, "kind": each.kind, **_figures(each)} for each in evidence.answers)
    return _frame(rows, _ANSWERS)


def _figures(evidence: object) -> dict[str, float | None]:
    """Return the fields of an evidence dataclass that are numbers; a Count becomes its share."""
    figures: dict[str, float | None] = {}
    for each in fields(evidence):  # type: ignore[arg-type]  # each piece of evidence is a dataclass
        value = getattr(evidence, each.name)
        value = value.rate if isinstance(value, Count) else value
        if isinstance(value, int | float) and not isinstance(value, bool):
            figures[each.name] = value
    return figures


def flips_frame(evidence: Evidence) -> pd.DataFrame:
    """Return pairs whose sides disagree about an alarm."""
    names = [name for name in _FLIPS if name != "output"]
    rows = (
        {"output": output.name, **{name: getattr(each, name) for name in names}}
        for output in evidence.outputs
        for each in output.flips
    )
    return _frame(rows, _FLIPS)


def _frame(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Return rows with these columns; further names in rows become columns of numbers."""
    every = [dict(row) for row in rows]
    others = [name for row in every for name in row if name not in columns]
    types = {**columns, **dict.fromkeys(others, _NUMBER)}
    return pd.DataFrame({name: _column(every, name, dtype) for name, dtype in types.items()})


def _column(rows: Sequence[Mapping[str, Any]], name: str, dtype: str) -> "pd.Series[Any]":
    """Return a column; counts become floats if a row has none, since NaN is a float."""
    values = [row.get(name) for row in rows]
    return pd.Series(values, dtype=_NUMBER if dtype == _COUNT and None in values else dtype)
