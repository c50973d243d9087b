"""Count numbers without a threshold: sums of both sides, their differences and their errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pandas as pd
from ibis import _

from comparison.counts.bins import in_units, real, winsorise
from comparison.counts.kinds.parts import PartCounts, part_columns, part_counts
from comparison.counts.kinds.window import KindWindow, LevelCounts, served_coverage
from comparison.counts.outputs.columns import both_ok, is_finite, with_columns
from comparison.counts.reproducible_sums import summed
from comparison.labels.types import LabelType
from comparison.pairs.sides import SIDES

SAMPLE: Final = 1_000
"""The first pairs, whose numbers determine the units in which differences are counted."""

BOUND: Final = 4.0
"""Units at which a difference is winsorised: larger differences count as this one."""

EARLY: Final = "early_error"
"""Column of the difference of errors by all labels, including those of young pairs."""

GROSS: Final = 10.0
"""Multiple of the mean error beyond which an error is gross."""

_ANSWERED: Final = {side: f"error_{side}" for side in SIDES}
_WHOLE: Final = ("gross", *_ANSWERED.values())
"""Figures that are not counted by part."""


@dataclass(frozen=True, slots=True)
class NumberCounts:
    """The sums of an output and the counts of its differences by level.

    `spread` and `error` are the units: the spread of the primary's numbers, and its mean error, on
    the first pairs. Counts with equal units add up. `sums` are of all pairs or, if the name ends in
    `_labelled`, of labelled pairs. `levels` has the figures `bias` (candidate minus primary),
    `distance` (its absolute value) and `error` (candidate's minus primary's; `error_primary` and
    `error_candidate` are of the pairs that each side answered), in 4,096 parts of `BOUND` units,
    and `gross`: 1 if only the candidate's error is gross, -1 if only the primary's is.
    `coverage` counts pairs by served side and whether there is a label. The sums of `parts` are
    `difference`, `labelled` and the losses of both sides.
    """

    name: str
    spread: float | None
    error: float | None
    quantile: float | None
    sums: Mapping[str, float]
    levels: LevelCounts
    coverage: pd.DataFrame
    parts: PartCounts
    kind: str = "number"


def outputs(window: KindWindow) -> tuple[str, ...]:
    """Return the outputs with numbers and no threshold."""
    return window.numbers


def count(window: KindWindow, output: str) -> NumberCounts:
    """Count an output."""
    names = [f"{side}_score.{output}" for side in SIDES]
    pairs = with_columns(both_ok(window.step), names, "float64")
    for side in SIDES:
        pairs = pairs.filter(is_finite(pairs[f"{side}_score.{output}"]).fill_null(False))
    values = {side: pairs[f"{side}_score.{output}"] for side in SIDES}
    rows = window.prepared(pairs, output, (LabelType.NUMBER,), **values)
    is_labelled = "label" in rows.columns
    if is_labelled:
        finite = {n: ibis.ifelse(is_finite(rows[n]), rows[n], None) for n in ("label", "known")}
        rows = rows.mutate(**finite)
    center, spread = _center_and_spread(rows)
    spread = window.setting(output, "spread") or spread
    quantile = window.setting(output, "quantile")
    error = None
    if is_labelled:
        rows = rows.mutate(**{f"{s}_loss": _loss(rows[s], rows.known, quantile) for s in SIDES})
        error = _first_error(rows) or (spread or 0.0) / 100 or None
    figures, bounds = _figures(rows, spread, error)
    return NumberCounts(
        name=output,
        spread=spread,
        error=error,
        quantile=quantile,
        sums=_sums(rows, center, is_labelled) | (_fit(rows) if is_labelled else {}),
        levels=window.levels(figures, bounds),
        coverage=served_coverage(rows),
        parts=_parts(window, figures, bounds),
    )


def _parts(window: KindWindow, figures: ir.Table, bounds: Mapping[str, float]) -> PartCounts:
    """Count parts; their errors include the labels of young pairs."""
    if EARLY in figures.columns:
        figures = figures.mutate(error=figures[EARLY])
    wanted = {name: bound for name, bound in bounds.items() if name not in _WHOLE}
    sums = tuple(name for name in PART_SUMS if name in figures.columns)
    return part_counts(window, figures, wanted, sums)


def _center_and_spread(rows: ir.Table, column: str = "primary") -> tuple[float, float | None]:
    """Return the median and the spread of a column's first numbers.

    The spread is the standard deviation of a normal distribution with the same 10 % and 90 %
    quantiles, which no outlier changes; if these are equal, the standard deviation of the numbers.
    It is None if all numbers are equal.
    """
    values = _first(rows, column)
    if not len(values):
        return 0.0, None
    low, center, high = np.quantile(values, [0.1, 0.5, 0.9])
    spread = float(high - low) / 2.5631 or float(values.std())
    return float(center), spread or None


def _first_error(rows: ir.Table) -> float | None:
    """Return the primary's mean error on the first labelled pairs; None if it is 0 or unknown."""
    values = _first(rows.filter(rows.known.notnull()), "primary_loss")
    return float(values.mean()) or None if len(values) else None


def _first(rows: ir.Table, column: str) -> npt.NDArray[np.float64]:
    """Return a column of the first pairs by time."""
    first = rows.order_by("at", "who", column).limit(SAMPLE).select(column).to_pyarrow()[column]
    return np.asarray(first, dtype=np.float64)


def _loss(value: Any, label: Any, quantile: float | None) -> Any:
    """Return the absolute error, or with a quantile the pinball loss."""
    if quantile is None:
        return (value - label).abs()
    return ibis.ifelse(
        label >= value, real(quantile) * (label - value), real(1 - quantile) * (value - label)
    )


def _figures(
    rows: ir.Table, spread: float | None, error: float | None
) -> tuple[ir.Table, dict[str, float]]:
    difference = rows.candidate - rows.primary
    values: dict[str, Any] = {}
    bounds: dict[str, float] = {}
    if spread is not None:
        values |= {
            "bias": _winsorise(difference, spread),
            "distance": _winsorise(difference.abs(), spread),
        }
        bounds |= {"bias": BOUND * spread, "distance": BOUND * spread}
    if error is not None:
        difference_of_losses = _winsorise(rows.candidate_loss - rows.primary_loss, error)
        counts = rows.label.notnull()
        values["error"] = ibis.ifelse(counts, difference_of_losses, None)
        values[EARLY] = difference_of_losses
        for side, name in _ANSWERED.items():
            is_its = counts & (rows.served == side)
            values[name] = ibis.ifelse(is_its, difference_of_losses, None)
        gross = {
            side: (rows[f"{side}_loss"] > real(GROSS * error)).cast("float64") for side in SIDES
        }
        values["gross"] = ibis.ifelse(counts, gross["candidate"] - gross["primary"], None)
        values |= {"labelled": rows.known.notnull().cast("float64")}
        values |= {f"{side}_loss": rows[f"{side}_loss"] for side in SIDES}
        bounds |= dict.fromkeys(("error", *_ANSWERED.values()), BOUND * error) | {"gross": 1.0}
    kept = ("block", *part_columns(rows))
    return rows.select(*kept, difference=difference, **values), bounds


PART_SUMS: Final = ("difference", "labelled", *(f"{side}_loss" for side in SIDES))


def _winsorise(value: Any, unit: float) -> Any:
    return winsorise(value, BOUND * unit)


def _sums(rows: ir.Table, center: float, is_labelled: bool) -> dict[str, float]:
    """Sum the moments of both sides and of the errors, about a center to keep all digits."""
    difference = _.candidate - _.primary
    counts = {"n": _.count()}
    values: dict[str, Any] = {
        "difference": difference,
        "distance": difference.abs(),
        "squared_difference": difference * difference,
    }
    moved = {side: _[side] - real(center) for side in SIDES}
    for side, value in moved.items():
        values |= {side: value, f"squared_{side}": value * value}
    values["product"] = moved["primary"] * moved["candidate"]
    if is_labelled:
        counts["n_labelled"] = _.label.count()
        target = _.label - real(center)
        values |= {"label_labelled": target, "squared_label_labelled": target * target}
        for side in SIDES:
            error = _[side] - _.label
            values[f"error_{side}_labelled"] = error
            values[f"distance_{side}_labelled"] = error.abs()
            values[f"squared_error_{side}_labelled"] = error * error
            loss = ibis.ifelse(_.label.notnull(), _[f"{side}_loss"], None)
            values[f"loss_{side}_labelled"] = loss
    return {"center": center, **summed(rows, values, **counts)}


def _fit(rows: ir.Table) -> dict[str, float]:
    """Sum the products that correlate both sides' numbers with the labels.

    Each number is centered and scaled by the first labelled pairs, and winsorised, so that no
    single one outweighs all others.
    """
    labelled = rows.filter(rows.label.notnull())
    units = {name: _center_and_spread(labelled, name) for name in ("label", *SIDES)}
    near = {
        name: winsorise(in_units(labelled[name] - real(center), spread), BOUND)
        for name, (center, spread) in units.items()
        if spread is not None
    }
    values = {**near, **{f"squared_{name}": value * value for name, value in near.items()}}
    if "label" in near:
        values |= {f"product_{s}": near[s] * near["label"] for s in SIDES if s in near}
    found = {f"fit_{name}": value for name, value in summed(labelled, values).items()}
    return found | {f"fit_spread_{name}": units[name][1] or 0.0 for name in near}
