"""Count parts of an output's pairs: values of segments, the last days, with and without label.

A pair is in several parts at once. All parts are counted in one statement, by a text that names the
part: `0=EU` is the value EU of the first segment, `0` the pairs without a value of it.
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
"""Values of a segment that are counted at most: those with most pairs."""

AGES: Final = (1, 3, 7)
"""Ages in days: a pair is in the part of the first age that it is younger than."""

OLDER: Final = str(len(AGES))
"""The value of the part with all older pairs."""

_DAY: Final = 24 * HOUR
_PART: Final = {"role": "string", "segment": "string", "value": "string"}
_LEVEL: Final = {"figure": "string", "level": "int64"}


@dataclass(frozen=True, slots=True)
class PartCounts:
    """The tables of an output's parts by role, segment and value; those of two windows add up.

    `levels` counts units by figure and level, as `KindWindow.levels` does. `sums` has the number of
    pairs `n` and the sums by name. The value of a part with the role `recent` is the place of its
    age in `AGES`.
    """

    levels: pd.DataFrame
    sums: pd.DataFrame


def part_columns(rows: ir.Table) -> list[str]:
    """Return the columns that determine the parts of a pair."""
    return [name for name in rows.columns if name in _PART_INPUTS or name.startswith(SEGMENT)]


_PART_INPUTS: Final = ("who", "at", "known", "old")


def part_counts(
    window: KindWindow, rows: ir.Table, figures: Mapping[str, float], sums: tuple[str, ...]
) -> PartCounts:
    """Count `figures` of `rows` by level, winsorised at their bounds; sum the columns `sums`."""
    segments = sorted(name for name in rows.columns if name.startswith(SEGMENT))
    names = [_value_of(rows, name, place) for place, name in enumerate(segments)]
    names.append(_age(rows, window.last))
    if "known" in rows.columns:
        names.append(_label(rows))
    columns = tuple(dict.fromkeys((*figures, *sums)))
    by_part = rows.select("who", *columns, part=ibis.array(names).unnest())
    by_part = window.source.cached(by_part.filter(_.part.notnull()))
    added = {name: _[name] for name in sums}
    found = summed_by(by_part, added, {"part": "string"}, n=_.count())
    counted = _levels(window, by_part, figures)
    kept = _largest_values(_with_part_columns(found, segments))
    parts = kept["part"]
    return PartCounts(
        levels=_with_part_columns(counted.loc[counted["part"].isin(parts)], segments).drop(
            columns="part"
        ),
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
    """Return the part of a pair by whether it has a label; missing if it is too young for one."""
    known = ibis.ifelse(rows.known.notnull(), str(PartRole.LABELLED), str(PartRole.UNLABELLED))
    return ibis.ifelse(rows.old, known, None)


def _levels(window: KindWindow, by_part: ir.Table, figures: Mapping[str, float]) -> pd.DataFrame:
    """Count units by part, figure and level; of a unit, the mean of its pairs in a part counts."""
    if not figures:
        return empty({"part": "string", **_LEVEL})
    values = by_part
    if window.volume.units:
        values = unit_means(by_part, figures, "part", "who")
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


def _with_part_columns(table: pd.DataFrame, segments: list[str]) -> pd.DataFrame:
    """Split the names of parts into role, segment and value."""
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


def _largest_values(parts: pd.DataFrame) -> pd.DataFrame:
    """Keep the values of each segment with most pairs."""
    order = parts.sort_values("n", ascending=False, kind="stable")
    kept = order.groupby(["role", "segment"], dropna=False, sort=False).head(MOST_VALUES)
    return kept.sort_values(list(_PART), kind="stable", ignore_index=True)
