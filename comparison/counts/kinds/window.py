"""The pairs of a window with labels, units and blocks, as all kinds of answers count them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.counts.bins import in_units, real, winsorise
from comparison.counts.labels.joined import counting_label, known_label
from comparison.counts.outputs.columns import SEGMENT
from comparison.counts.outputs.score_grid import rounded
from comparison.counts.reproducible_sums import share_mean
from comparison.counts.tables import AnswerCounts
from comparison.counts.units.alarms import UnitVolume
from comparison.counts.units.flip_clusters import design_effect
from comparison.engines.grouping import MINUTE, count_by, empty, fetched, framed
from comparison.engines.sources import PairSource
from comparison.labels.types import LabelType
from comparison.pairs.columns import outputs_with
from flags.pairing.kinds import registry

LEVELS: Final = 4_096
"""Number of levels from zero to the bound of a figure, to which values are rounded."""

DIGITS: Final = 5
"""Bits to which the numbers of levels are rounded after that: a relative error of up to 3 %."""

_CODE: Final = {"code": "int64"}
LEVEL_COLUMNS: Final = {"figure": "string", "counted": "string", "level": "int64"}


@dataclass(frozen=True, slots=True)
class LevelCounts:
    """The values of figures, counted by level. Tables of two windows add up, `clusters` do not.

    `table` has figure, counted (the way of counting), level and `n`. `clusters` has the design
    effect of each figure within minutes; it is empty if pairs name units.
    """

    table: pd.DataFrame
    clusters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KindWindow:
    """Prepared pairs, counted by kind; `numbers` are the outputs with numbers and no threshold.

    `label_of` has, by output, the column of its labels and their type.
    """

    source: PairSource
    step: ir.Table
    numbers: tuple[str, ...]
    volume: UnitVolume
    label_of: Mapping[str, tuple[str, LabelType]] | None = None
    settings: Mapping[str, Mapping[str, float]] | None = None
    """By output and name, numbers that the playbook fixes: `spread`, `quantile`, `persistence`."""
    last: int = 0
    """Time of the last pair, in nanoseconds since 1970."""

    def setting(self, output: str, name: str) -> float | None:
        """Return a number that the playbook fixes for an output, or None."""
        return (self.settings or {}).get(output, {}).get(name)

    def prepared(
        self,
        pairs: ir.Table,
        output: str,
        types: Collection[LabelType] = tuple(LabelType),
        **values: Any,
    ) -> ir.Table:
        """Select `values` of pairs, with `at` (time), `who` (unit, else request) and `block`.

        If the labels of the output have one of these `types`, it adds `label` (the label if it
        counts), `known` (the label, even if the pair is too young), `old` (the pair is old enough
        for a label) and `first_of_request`. Segments keep the names of their columns.
        """
        unit = pairs.unit if "unit" in pairs.columns else ibis.null("string")
        block = ibis.literal(0, type="int64")
        if self.volume.block is not None:
            block = ibis.ifelse(unit.notnull(), pairs.time // self.volume.block, 0).cast("int64")
        column, held = (self.label_of or {}).get(output, ("", None))
        labels = {}
        if held in types:
            labels = {
                "label": counting_label(column),
                "known": known_label(column),
                "old": pairs.old,
                "first_of_request": pairs.first_of_request,
            }
        return self.source.cached(
            pairs.select(
                "request_id",
                "time",
                "served",
                at=pairs.time,
                who=ibis.coalesce(unit, pairs.request_id, pairs.span_id),
                block=block,
                **{name: pairs[name] for name in pairs.columns if name.startswith(SEGMENT)},
                **values,
                **labels,
            )
        )

    def levels(self, rows: ir.Table, figures: Mapping[str, float]) -> LevelCounts:
        """Count the values of columns of `rows` by level, in each way of counting.

        The ways of counting are: each request, each unit once per block of time, each unit once;
        if pairs name no unit, also each minute once. A figure is winsorised at its bound; missing
        values are left out. For a unit, and for a minute, the mean counts.
        """
        if not figures:
            return LevelCounts(empty(LEVEL_COLUMNS))
        minute = {} if self.volume.units else {"minute": (_.at.min() // MINUTE).cast("int64")}
        once = unit_means(rows, figures, "who", "block", **minute)
        ways = {"request": rows, "block": once, "unit": unit_means(rows, figures, "who")}
        if minute:
            ways["block"] = once = self.source.cached(once)
            ways["minute"] = unit_means(once, figures, "minute")
        if self.volume.block is None:
            ways.pop("unit")  # each unit has one block
        tables = []
        for counted, table in ways.items():
            # One statement that computes each value once: a row is unnested into the levels of its
            # figures, each combined with the place of the figure.
            codes = [
                level(table[name], bound) * len(figures) + place
                for place, (name, bound) in enumerate(figures.items())
            ]
            coded = table.select(code=ibis.array(codes).unnest())
            found = fetched(count_by(coded.filter(_.code.notnull()), code=_.code), _CODE)
            names = np.array(list(figures))[found["code"] % len(figures)]
            parts = found["code"] // len(figures)
            tables.append(found.assign(figure=names, level=parts, counted=counted))
        found = pd.concat(tables, ignore_index=True)
        return LevelCounts(_rounded(found), _clusters(once, figures, found) if minute else {})


def unit_means(rows: ir.Table, figures: Mapping[str, float], *by: str, **more: Any) -> ir.Table:
    """Return the means of figures, which have a bound, by the columns `by`.

    `more` are further aggregates.
    """
    means = {name: share_mean(_[name], bound) for name, bound in figures.items()}
    return rows.group_by(by).agg(**means, **more)


def _clusters(
    once: ir.Table, figures: Mapping[str, float], counts: pd.DataFrame
) -> dict[str, float]:
    """Return by figure how the values of requests, with their `minute`, cluster in minutes.

    Values above the median and values below it are examined separately: if few pairs differ, these
    are the differing pairs, by the side that they favour. Neither has more than half of the values:
    a value that nearly all requests have shows no clusters.
    """
    values = once.select(
        "minute",
        **{f"level{i}": level(once[n], bound) for i, (n, bound) in enumerate(figures.items())},
    )
    sums: dict[str, Any] = {}
    for place, name in enumerate(figures):
        held = values[f"level{place}"]
        middle = _median(counts.loc[(counts["figure"] == name) & (counts["counted"] == "block")])
        beside = {"above": held > middle, "below": held < middle}
        sums[f"n{place}"] = held.count()
        sums |= {
            f"{end}{place}": ibis.ifelse(is_so.fill_null(False), 1, 0).sum().cast("int64")
            for end, is_so in beside.items()
        }
    minutes = framed(
        values.group_by("minute").agg(**sums), dict.fromkeys(("minute", *sums), "int64")
    )
    return {
        name: max(
            design_effect(minutes.rename(columns={f"{end}{place}": "flips", f"n{place}": "n"}))
            for end in ("above", "below")
        )
        for place, name in enumerate(figures)
    }


def _median(counts: pd.DataFrame) -> int:
    """Return the median level, 0 without values."""
    by_level = counts.groupby("level")["n"].sum().cumsum()
    middle = by_level.index[2 * by_level >= by_level.max()]
    return int(middle[0]) if len(middle) else 0


def level(value: ir.NumericValue, bound: float) -> ir.IntegerValue:
    """Return the level of a value: the nearest whole number of `LEVELS` parts of its bound."""
    share = winsorise(in_units(value, bound), 1.0)
    parts = (share * real(float(LEVELS)) + real(0.5)).floor()  # engines round halves differently
    return parts.cast("int64")


def _rounded(counts: pd.DataFrame) -> pd.DataFrame:
    """Round levels to `DIGITS` bits; in the engine, the statement would exceed its length limit."""
    levels = rounded(counts["level"].to_numpy(dtype=np.float64), DIGITS).astype(np.int64)
    summed = counts.assign(level=levels).groupby(list(LEVEL_COLUMNS), as_index=False)["n"].sum()
    return pd.DataFrame(summed).astype({**LEVEL_COLUMNS, "n": "int64"})


def count_kinds(window: KindWindow) -> tuple[AnswerCounts, ...]:
    """Count the outputs of all kinds."""
    modules = registry.layer("comparison.counts.kinds").values()
    return tuple(
        module.count(window, output) for module in modules for output in module.outputs(window)
    )


COVERAGE: Final = {"served": "string", "old": "boolean", "labelled": "boolean"}


def served_coverage(rows: ir.Table) -> pd.DataFrame:
    """Count the first pairs of requests by served side, age and whether they have a label."""
    if "known" not in rows.columns:
        return empty(COVERAGE)
    first = rows.filter(rows.first_of_request)
    counts = count_by(first, served=_.served, old=_.old, labelled=_.known.notnull())
    return fetched(counts, COVERAGE)


def other_outputs(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the outputs of other kinds than scores and numbers, in the order of their columns."""
    return outputs_with(columns, *registry.columns())
