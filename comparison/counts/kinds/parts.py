"""Counts of parts of an output's pairs: values of segments, the last days, with and without label.

A pair is in several parts at once. All parts are counted in one statement, by the words that name
them: `0=EU` is the value EU of the first segment, `0` the pairs that name none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from comparison.counts.kinds.window import DIGITS, KindWindow, level, unit_means
from comparison.counts.outputs.columns import SEGMENT
from comparison.counts.outputs.score_grid import rounded
from comparison.counts.reproducible_sums import summed_by
from comparison.engines.grouping import HOUR, count_by, empty, fetched
from flags.gate.evidence import PartRole

MOST_VALUES: Final = 100
"""Values of a segment that are counted, those with most pairs."""

AGES: Final = (1, 3, 7)
"""Days: pairs are told apart by whether they are younger than these."""

OLDER: Final = str(len(AGES))
"""The age of all others."""

_DAY: Final = 24 * HOUR
_PART: Final = {"role": "string", "segment": "string", "value": "string"}
_LEVEL: Final = {"figure": "string", "level": "int64"}


@dataclass(frozen=True, slots=True)
class PartCounts:
    """Hold the tables of an output's parts: role, segment, value; those of two windows add up.

    `levels` counts units by figure and level, as `KindWindow.levels` does. `sums` has the number of
    pairs, `n`, and sums by name. A part with the role `recent` has, as its value, the place of its
    age in `AGES`.
    """

    levels: pd.DataFrame
    sums: pd.DataFrame


def part_columns(rows: ir.Table) -> list[str]:
    """Return the columns that say to which parts a pair belongs."""
    return [name for name in rows.columns if name in _NEEDED or name.startswith(SEGMENT)]


_NEEDED: Final = ("who", "at", "known", "old")


def part_counts(
    window: KindWindow, rows: ir.Table, figures: Mapping[str, float], sums: tuple[str, ...]
) -> PartCounts:
    """Count columns of `rows`: `figures` by level, each cut at its bound, and `sums` added up."""
    segments = sorted(name for name in rows.columns if name.startswith(SEGMENT))
    words = [_value_of(rows, name, place) for place, name in enumerate(segments)]
    words.append(_age(rows, window.last))
    if "known" in rows.columns:
        words.append(_label(rows))
    columns = tuple(dict.fromkeys((*figures, *sums)))
    every = rows.select("who", *columns, part=ibis.array(words).unnest())
    every = window.source.cached(every.filter(_.part.notnull()))
    added = {name: _[name] for name in sums}
    found = summed_by(every, added, {"part": "string"}, n=_.count())
    counted = _levels(window, every, figures)
    kept = _most(_named(found, segments))
    parts = kept["part"]
    return PartCounts(
        levels=_named(counted.loc[counted["part"].isin(parts)], segments).drop(columns="part"),
        sums=kept.drop(columns="part"),
    )


def _value_of(rows: ir.Table, segment: str, place: int) -> Any:
    named = ibis.literal(f"{place}=").concat(rows[segment].cast("string"))
    return ibis.ifelse(rows[segment].isnull(), str(place), named)


def _age(rows: ir.Table, last: int) -> Any:
    cases = [
        (ibis.literal(last) - rows.at < days * _DAY, f"{PartRole.RECENT}={place}")
        for place, days in enumerate(AGES)
    ]
    return ibis.cases(*cases, else_=f"{PartRole.RECENT}={OLDER}")


def _label(rows: ir.Table) -> Any:
    """Name the part of a pair that is old enough for a label; none of those too young."""
    known = ibis.ifelse(rows.known.notnull(), str(PartRole.LABELLED), str(PartRole.UNLABELLED))
    return ibis.ifelse(rows.old, known, None)


def _levels(window: KindWindow, every: ir.Table, figures: Mapping[str, float]) -> pd.DataFrame:
    """Count units by part, figure and level; of a unit, the mean of its pairs in a part counts."""
    if not figures:
        return empty({"part": "string", **_LEVEL})
    values = every
    if window.volume.units:
        values = unit_means(every, figures, "part", "who")
    codes = [
        level(values[name], bound) * len(figures) + place
        for place, (name, bound) in enumerate(figures.items())
    ]
    each = values.select("part", code=ibis.array(codes).unnest())
    counted = count_by(each.filter(_.code.notnull()), part=_.part, code=_.code)
    found = fetched(counted, {"part": "string", "code": "int64"})
    levels = (found["code"] // len(figures)).to_numpy(dtype=np.float64)
    names = np.array(list(figures))[found["code"] % len(figures)]
    found = found.assign(figure=names, level=rounded(levels, DIGITS).astype(np.int64))
    by = ["part", "figure", "level"]
    summed = found.groupby(by, as_index=False)["n"].sum()
    return pd.DataFrame(summed).astype({**_LEVEL, "n": "int64"})


def _named(table: pd.DataFrame, segments: list[str]) -> pd.DataFrame:
    """Take the words that name parts to pieces."""
    split = table["part"].str.partition("=").reindex(columns=range(3)).astype("string")
    is_segment = split[0].str.isdigit()
    names = dict(enumerate(name.removeprefix(SEGMENT) for name in segments))
    places = split[0].where(is_segment)
    named = split[2].where(split[1] == "=")
    return table.assign(
        role=split[0].where(~is_segment, str(PartRole.SEGMENT)).astype("string"),
        segment=places.map(lambda each: names[int(each)], na_action="ignore").astype("string"),
        value=named.astype("string"),
    )


def _most(parts: pd.DataFrame) -> pd.DataFrame:
    """Keep the values of each segment that have most pairs."""
    order = parts.sort_values("n", ascending=False, kind="stable")
    kept = order.groupby(["role", "segment"], dropna=False, sort=False).head(MOST_VALUES)
    return kept.sort_values(list(_PART), kind="stable", ignore_index=True)
