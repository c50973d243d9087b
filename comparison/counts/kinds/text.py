"""Count texts: how many are equal, how long they are, and which rules each side breaks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.bins import real
from comparison.counts.kinds.parts import PartCounts, part_columns, part_counts
from comparison.counts.kinds.window import KindWindow, LevelCounts
from comparison.counts.outputs.columns import both_ok
from comparison.engines.grouping import count_by, fetched
from comparison.pairs.columns import outputs_with
from comparison.pairs.sides import SIDES
from flags.pairing.kinds.text import EXACT, LENGTH, NORMAL, REMARKS

LENGTH_FIGURE: Final = "length"
RULE: Final = "rule_"
"""Prefix of the figure of a rule."""

_RULE_NAME: Final = re.compile(r"\|([^|=]+)=(?=[01]\|)")
_CELLS: Final = {
    "exact": "boolean",
    "normal": "boolean",
    **{f"{side}_{REMARKS}": "string" for side in SIDES},
}


@dataclass(frozen=True, slots=True)
class TextCounts:
    """The counts of an output; those of two windows add up.

    `cells` counts pairs by `exact` (the texts are equal), `normal` (their normal forms are equal)
    and the remarks of both sides. `sums` has the characters of each side. `levels` has `length`
    (candidate's length minus primary's, over the longer one) and `rule_<name>` (candidate's
    breaches minus primary's).
    """

    name: str
    cells: pd.DataFrame
    sums: Mapping[str, float]
    levels: LevelCounts
    parts: PartCounts
    """Their sums are `length` and `rule_<name>`."""
    kind: str = "text"


def outputs(window: KindWindow) -> tuple[str, ...]:
    """Return the outputs that are texts."""
    return outputs_with(window.step.columns, EXACT, sides=SIDES[:1])


def count(window: KindWindow, output: str) -> TextCounts:
    """Count an output."""
    pairs = both_ok(window.step)
    wanted = (EXACT, NORMAL, LENGTH, REMARKS)
    held = {}
    for side in SIDES:
        for what in wanted:
            name = f"{side}_{what}.{output}"
            kind = "int64" if what == LENGTH else "string"
            held[f"{side}_{what}"] = (
                pairs[name].cast(kind) if name in pairs.columns else ibis.null(kind)
            )
    table = pairs.mutate(**held).filter(
        _[f"{SIDES[0]}_{EXACT}"].notnull(), _[f"{SIDES[1]}_{EXACT}"].notnull()
    )
    rows = window.prepared(table, output, (), **{name: table[name] for name in held})
    cells = _cells(rows)
    rules = _rules(cells)
    values, bounds = _figures(rows, rules)
    return TextCounts(
        name=output,
        cells=cells,
        sums=_sums(rows),
        levels=window.levels(values, bounds),
        parts=part_counts(window, values, bounds, tuple(bounds)),
    )


def _cells(rows: ir.Table) -> pd.DataFrame:
    primary, candidate = SIDES
    counted = count_by(
        rows,
        exact=_[f"{primary}_{EXACT}"] == _[f"{candidate}_{EXACT}"],
        normal=_[f"{primary}_{NORMAL}"] == _[f"{candidate}_{NORMAL}"],
        **{f"{side}_{REMARKS}": _[f"{side}_{REMARKS}"] for side in SIDES},
    )
    return fetched(counted, _CELLS)


def _rules(cells: pd.DataFrame) -> tuple[str, ...]:
    """Return the names of the rules that were checked on both sides."""
    found = [
        {name for remarks in cells[f"{side}_{REMARKS}"].dropna() for name in rule_names(remarks)}
        for side in SIDES
    ]
    return tuple(sorted(set.intersection(*found)))


def rule_names(remarks: str) -> list[str]:
    """Return the names of the rules in remarks such as `|refusal=1|json=0|`."""
    return _RULE_NAME.findall(remarks)


def _sums(rows: ir.Table) -> dict[str, float]:
    parts = {side: _[f"{side}_{LENGTH}"].sum() for side in SIDES}
    [row] = rows.agg(**parts).to_pyarrow().to_pylist()
    return {name: float(value or 0) for name, value in row.items()}


def _figures(rows: ir.Table, rules: tuple[str, ...]) -> tuple[ir.Table, dict[str, float]]:
    primary, candidate = (rows[f"{side}_{LENGTH}"].cast("float64") for side in SIDES)
    longer = ibis.greatest(primary, candidate, real(1.0))
    values = {LENGTH_FIGURE: (candidate - primary) / longer}
    for rule in rules:
        broken = [_broken(rows[f"{side}_{REMARKS}"], rule) for side in SIDES]
        values[RULE + rule] = broken[1] - broken[0]
    return rows.select("block", *part_columns(rows), **values), dict.fromkeys(values, 1.0)


def _broken(remarks: ir.StringValue, rule: str) -> ir.NumericValue:
    """Return 1.0 if a text breaks a rule, 0.0 if not, null if the rule was not checked."""
    return ibis.cases(
        (remarks.contains(f"|{rule}=1|"), real(1.0)),
        (remarks.contains(f"|{rule}=0|"), real(0.0)),
        else_=ibis.null("float64"),
    )
