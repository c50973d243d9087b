"""Count classes: the classes of both sides and the label, in one table."""

import re
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.kinds.parts import PartCounts, part_columns, part_counts
from comparison.counts.kinds.window import KindWindow, LevelCounts, served_coverage
from comparison.counts.outputs.columns import both_ok, with_columns
from comparison.engines.grouping import count_by, fetched
from comparison.engines.text_functions import split_at
from comparison.errors import LabelsUnfitError
from comparison.labels.types import FALSE, TRUE
from comparison.pairs.columns import outputs_with
from comparison.pairs.sides import SIDES
from flags.pairing.kinds.category import CLASS, TOP

CLASSES: Final = {
    "primary": "string",
    "candidate": "string",
    "label": "string",
    "primary_top": "boolean",
    "candidate_top": "boolean",
}


@dataclass(frozen=True, slots=True)
class CategoryCounts:
    """The counts of an output.

    `classes` has the class of each side (NA: none could be read), the label if it counts, and by
    side whether the label is among the likeliest classes that the side recorded. `levels` has the
    figure `right`: 1 if only the candidate is right, -1 if only the primary is; `right_primary` and
    `right_candidate` are the same for the pairs that each side answered. The sums of `parts` are
    `agrees`, `labelled` and, by side, how often it is right.
    """

    name: str
    classes: pd.DataFrame
    levels: LevelCounts
    coverage: pd.DataFrame
    parts: PartCounts
    kind: str = "category"


def outputs(window: KindWindow) -> tuple[str, ...]:
    """Return the outputs with classes."""
    names = outputs_with(window.step.columns, CLASS)
    recorded = {name: _of(window.step, name)[0].notnull().sum() for name in names}
    if not names:
        return ()
    figures = {f"n{place}": figure for place, figure in enumerate(recorded.values())}
    [row] = window.step.agg(**figures).to_pyarrow().to_pylist()
    return tuple(name for place, name in enumerate(names) if row[f"n{place}"])


def count(window: KindWindow, output: str) -> CategoryCounts:
    """Count an output."""
    pairs = with_columns(both_ok(window.step), _columns(output), "string")
    classes, top = ({side: pairs[f"{side}_{w}.{output}"] for side in SIDES} for w in (CLASS, TOP))
    tops = {f"{side}_likely": top[side] for side in SIDES}
    rows = window.prepared(pairs, output, **classes, **tops)
    # Pairs of other APIs lack this output.
    rows = rows.filter(rows.primary.notnull() | rows.candidate.notnull())
    if "label" in rows.columns:
        rows = rows.mutate(label=_as_class(rows, output, "label"))
        rows = rows.mutate(known=_as_class(rows, output, "known"))
    else:
        rows = rows.mutate(label=ibis.null("string"))
    hit = {f"{side}_top": _label_is_likely(rows, side) for side in SIDES}
    counted = count_by(rows, primary=_.primary, candidate=_.candidate, label=_.label, **hit)
    values = _figures(rows)
    return CategoryCounts(
        name=output,
        classes=fetched(counted, CLASSES),
        levels=window.levels(values.filter(_.counts), dict.fromkeys(_RIGHT, 1.0)),
        coverage=served_coverage(rows),
        parts=part_counts(window, values, {"right": 1.0, "agrees": 1.0}, PART_SUMS),
    )


_RIGHT: Final = ("right", *(f"right_{side}" for side in SIDES))
PART_SUMS: Final = ("agrees", "labelled", *(f"{side}_right" for side in SIDES))


def _figures(rows: ir.Table) -> ir.Table:
    """Return for each pair whether the sides agree, and with a label which of them are right.

    Labels of young pairs are included: the parts need them.
    """
    read = rows.filter(rows.primary.notnull(), rows.candidate.notnull())
    known = read.known if "known" in read.columns else read.label
    right = {
        f"{side}_right": (read[side] == known).fill_null(False).cast("float64") for side in SIDES
    }
    labelled = known.notnull()
    difference = right["candidate_right"] - right["primary_right"]
    answered = {
        f"right_{side}": ibis.ifelse(labelled & (read.served == side), difference, None)
        for side in SIDES
    }
    return read.select(
        "block",
        *part_columns(read),
        counts=read.label.notnull(),
        agrees=(read.primary == read.candidate).cast("float64"),
        right=ibis.ifelse(labelled, difference, None),
        labelled=labelled.cast("float64"),
        **right,
        **answered,
    )


def _columns(output: str) -> list[str]:
    return [f"{side}_{what}.{output}" for side in SIDES for what in (CLASS, TOP)]


def _of(step: ir.Table, output: str) -> list[Any]:
    names = [f"{side}_{CLASS}.{output}" for side in SIDES]
    return [step[name] for name in names if name in step.columns]


def _label_is_likely(rows: ir.Table, side: str) -> Any:
    """Return whether the label is among the likeliest classes, which are separated by bars."""
    likely = rows[f"{side}_likely"]
    # Polars can look up a column's value in an array, but not in a text.
    found = split_at(likely, "|").contains(rows.label)
    return ibis.ifelse(likely.notnull() & rows.label.notnull(), found, None)


def _as_class(rows: ir.Table, output: str, column: str) -> Any:
    """Return labels as names of classes. Raises LabelsUnfitError."""
    label = rows[column]
    kind = label.type()
    if kind.is_floating():
        whole = label.floor()
        return ibis.ifelse(label == whole, whole.cast("int64").cast("string"), label.cast("string"))
    if not kind.is_boolean():
        return label
    true, false = _names_of_truths(rows, output)
    return ibis.ifelse(label, true, false)


def _names_of_truths(rows: ir.Table, output: str) -> tuple[str, str]:
    """Return the names of the classes that stand for boolean labels, true first."""
    names: set[str] = set()
    for side in SIDES:
        found = rows.select(name=rows[side]).distinct().to_pyarrow()["name"].to_pylist()
        names |= {name for name in found if name is not None}
    by_truth = [sorted(name for name in names if re.match(each, name)) for each in (TRUE, FALSE)]
    if not any(by_truth):
        raise LabelsUnfitError(output, sorted(names))
    return (by_truth[0] or ["true"])[0], (by_truth[1] or ["false"])[0]
