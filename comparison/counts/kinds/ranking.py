"""Count rankings: the overlap of both sides, the items that they show, and their relevance.

All figures of a pair are computed from its two lists as arrays of ids: how many ids they share up
to each depth, and the places of relevant ids. Lists are not unnested into rows, so a pair stays one
row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from comparison.counts.bins import real
from comparison.counts.kinds.parts import PartCounts, part_counts
from comparison.counts.kinds.relevance import Relevance, found_by_chance
from comparison.counts.kinds.window import KindWindow, LevelCounts, served_coverage
from comparison.counts.outputs.columns import both_ok, with_columns
from comparison.counts.reproducible_sums import summed, summed_by
from comparison.engines.grouping import count_by, empty, framed, row_count
from comparison.engines.text_functions import count_occurrences, split_at
from comparison.pairs.columns import outputs_with
from comparison.pairs.sides import SIDES
from flags.pairing.kinds.ranking import GROUPS, RANKING

SAMPLE: Final = 1_000
"""The first pairs, whose longest list is the depth to which all lists are compared."""

MOST_ITEMS: Final = 10_000
"""Items that have a row of their own at most: those shown most; the others share one row."""

MOST_GROUPS: Final = 10
"""Groups that are compared at most: those that the primary shows most."""

GROUP: Final = "group_"
"""Prefix of the figure of a group."""

ITEMS: Final = {"item": "string", "primary": "int64", "candidate": "int64"}
QUALITY: Final = ("ndcg", "reciprocal", "found", "place")
"""Sums over the labelled pairs, by side."""


@dataclass(frozen=True, slots=True)
class RankingCounts:
    """The counts of an output; those with equal `depth` and `persistence` add up.

    `sums` are of all pairs. `items` and `groups` count by side how often each is shown (item NA:
    all others). `quality` has sums over the labelled pairs by `served`. `levels` has the figures
    `overlap` and `rbo`; and, each candidate minus primary, `empty`, `group_<name>`, and
    `ndcg_primary` and `ndcg_candidate`: of the pairs that each side answered.
    """

    name: str
    depth: int
    persistence: float
    sums: Mapping[str, float]
    items: pd.DataFrame
    groups: pd.DataFrame
    quality: pd.DataFrame
    levels: LevelCounts
    coverage: pd.DataFrame
    parts: PartCounts
    """Their sums are `overlap`, `rbo`, `labelled` and nDCG by side."""
    kind: str = "ranking"


def outputs(window: KindWindow) -> tuple[str, ...]:
    """Return the outputs that are rankings."""
    return outputs_with(window.step.columns, RANKING)


def count(window: KindWindow, output: str) -> RankingCounts:
    """Count an output."""
    columns = {f"{s}{end}": f"{s}_{w}.{output}" for s in SIDES for end, w in _COLUMNS.items()}
    pairs = with_columns(both_ok(window.step), list(columns.values()), "string")
    held = {name: pairs[column].cast("string") for name, column in columns.items()}
    rows = window.prepared(pairs, output, **held)
    # Pairs of other APIs lack this output.
    rows = rows.filter(rows.primary.notnull() | rows.candidate.notnull())
    if "label" in rows.columns:
        rows = rows.mutate(label=rows.known)  # whether a label counts is decided below
    read = rows.filter(rows.primary.notnull(), rows.candidate.notnull())
    read = read.mutate(**{f"{s}_ids": split_at(read[s], "|") for s in SIDES})
    read = window.source.cached(read.mutate(**{f"{s}_n": _length(read, s) for s in SIDES}))
    depth = _depth(read)
    persistence = window.setting(output, "persistence") or 1 - 1 / depth
    groups = _shown(window, read, "_groups", MOST_ITEMS)
    compared = _compared(window, read, depth, persistence, _most_shown(groups))
    figures = {name: 1.0 for name in compared.columns if name in _PLAIN or name.startswith(GROUP)}
    relevance = Relevance.of(rows, read, output, depth)
    if relevance is not None:
        compared = window.source.cached(relevance.add_to(compared))
        figures |= dict.fromkeys(_RELEVANCE, 1.0)
    parts = _parts(window, compared, figures)
    if relevance is not None:
        said = [name for name in compared.columns if name.startswith(("ndcg_", "reciprocal_"))]
        counts = {name: ibis.ifelse(compared.old, compared[name], None) for name in said}
        compared = compared.mutate(**counts)
    return RankingCounts(
        name=output,
        depth=depth,
        persistence=float(persistence),
        sums={
            **_sums(compared),
            **(found_by_chance(compared, depth) if relevance is not None else {}),
            "unread": float(row_count(rows) - row_count(read)),
        },
        items=_shown(window, read, "", MOST_ITEMS),
        groups=groups,
        quality=_quality(compared) if relevance is not None else empty(_QUALITY),
        levels=window.levels(compared, figures),
        coverage=served_coverage(rows),
        parts=parts,
    )


def _parts(window: KindWindow, compared: ir.Table, figures: Mapping[str, float]) -> PartCounts:
    wanted = {each: 1.0 for each in (*_PLAIN, *_RELEVANCE) if each in figures}
    sums = ["overlap", "rbo"]
    if "ndcg_of_primary" in compared.columns:
        compared = compared.mutate(labelled=compared.ndcg_of_primary.notnull().cast("float64"))
        sums += ["labelled", *(f"ndcg_of_{side}" for side in SIDES)]
    return part_counts(window, compared, wanted, tuple(sums))


_RELEVANCE: Final = tuple(f"ndcg_{side}" for side in SIDES)
_COLUMNS: Final = {"": RANKING, "_groups": GROUPS}
_PLAIN: Final = ("overlap", "rbo", "empty")
_QUALITY: Final = {
    "served": "string",
    **{f"{what}_{side}": "float64" for what in QUALITY for side in SIDES},
}


def _length(rows: ir.Table, side: str) -> Any:
    return count_occurrences(rows[side], "|") - 1  # a bar at either end


def _depth(read: ir.Table) -> int:
    first = read.order_by("at", "who").limit(SAMPLE)
    [row] = first.agg(n=ibis.greatest(_.primary_n, _.candidate_n).max()).to_pyarrow().to_pylist()
    return max(1, int(row["n"] or 1))


def _compared(
    window: KindWindow, read: ir.Table, depth: int, persistence: float, groups: list[str]
) -> ir.Table:
    """Compare the lists of each pair, truncated at the depth.

    Rank-biased overlap is extrapolated as in equation 30 of Webber, Moffat & Zobel, "A similarity
    measure for indefinite rankings", ACM TOIS 28 (2010); places beyond the end of the shorter list
    have no ids in common.
    """
    primary, candidate = (ibis.least(read[f"{side}_n"], depth) for side in SIDES)
    longer = ibis.greatest(primary, candidate)
    common = {f"common{d}": _common(read, d) for d in range(1, depth + 1)}
    table = window.source.cached(read.mutate(**common, longer=longer, both=primary + candidate))
    # What a depth adds if both lists reach it; beyond the end, both arrays have an empty text.
    parts = [(1 - persistence) * persistence ** (d - 1) / d for d in range(1, depth + 1)]
    beyond = [sum(parts[d:]) for d in range(depth + 1)]
    ends = [persistence**d / d - beyond[d] for d in range(1, depth + 1)]
    shared = (table[f"common{depth}"] - (table.longer < depth).cast("int64")).cast("float64")
    terms = [table[f"common{d}"].cast("float64") * real(p) for d, p in enumerate(parts, 1)]
    order = sum(terms[1:], terms[0]) - _looked_up(table.longer, beyond[1:])
    order += shared * _looked_up(table.longer, ends)
    nothing = table.both == 0
    figures = {
        "overlap": ibis.ifelse(
            nothing, real(1.0), shared / ibis.greatest(table.longer, 1).cast("float64")
        ),
        "rbo": ibis.ifelse(nothing, real(1.0), order),
        "empty": _is_empty(table, "candidate") - _is_empty(table, "primary"),
        "same": (table.primary == table.candidate).cast("int64"),
        "first": (_at(table, "primary", 1) == _at(table, "candidate", 1)).cast("int64"),
    }
    shares = {
        f"{GROUP}{name}": _share(table, "candidate", name) - _share(table, "primary", name)
        for name in groups
    }
    kept = [name for name in table.columns if not name.startswith("common")]
    return window.source.cached(table.select(*kept, **figures, **shares))


def _looked_up(longer: Any, values: list[float]) -> Any:
    """Look up a value by the length of a list, which counts from 1."""
    cases = [(longer == n, real(value)) for n, value in enumerate(values[:-1], 1)]
    return ibis.cases(*cases, else_=real(values[-1])) if cases else real(values[-1])


def _common(read: ir.Table, depth: int) -> Any:
    """Count the common elements of the first `depth`, including the empty text at both ends."""
    own, other = (read[f"{side}_ids"][1 : depth + 1] for side in SIDES)
    return own.intersect(other).length().cast("int64")


def _at(table: ir.Table, side: str, place: int) -> Any:
    """Return the id at a place, which counts from 1; an empty text beyond the end."""
    return table[f"{side}_ids"][place : place + 1].join("")


def _is_empty(table: ir.Table, side: str) -> Any:
    return (table[f"{side}_n"] == 0).cast("float64")


def _share(table: ir.Table, side: str, group: str) -> Any:
    """Return the share of a list's items that belong to a group."""
    found = count_occurrences(table[f"{side}_groups"], f"|{group}|").cast("float64")
    return found / ibis.greatest(table[f"{side}_n"], 1).cast("float64")


def _shown(window: KindWindow, read: ir.Table, end: str, most: int) -> pd.DataFrame:
    """Count how often each item, or each group, is shown by each side."""
    sides = []
    for side in SIDES:
        words = read.select(item=split_at(read[f"{side}{end}"], "|").unnest())
        counted = count_by(words.filter(_.item.notnull(), _.item != ""), item=_.item)
        shown = {each: _.n if each == side else ibis.literal(0, "int64") for each in SIDES}
        sides.append(counted.select("item", **shown))
    both = ibis.union(*sides).group_by("item")
    shown_items = window.source.cached(
        both.agg(primary=_.primary.sum(), candidate=_.candidate.sum())
    )
    shown_items = shown_items.mutate(n=(_.primary + _.candidate).cast("int64"))
    largest = framed(
        shown_items.order_by(ibis.desc("n"), "item").limit(most), {**ITEMS, "n": "int64"}
    )
    if len(largest) == most:
        [row] = (
            shown_items.agg(**{s: _[s].sum() for s in SIDES}, n=_.n.sum()).to_pyarrow().to_pylist()
        )
        rest = {name: int(row[name]) - int(largest[name].sum()) for name in (*SIDES, "n")}
        others = pd.DataFrame({"item": [None], **rest}).astype({**ITEMS, "n": "int64"})
        largest = pd.concat([largest, others], ignore_index=True)
    return largest.sort_values("item", ignore_index=True)


def _most_shown(groups: pd.DataFrame) -> list[str]:
    named = groups.loc[groups["item"].notna()].sort_values("item")
    most = named.sort_values("primary", ascending=False, kind="stable")
    return [str(name) for name in most["item"].head(MOST_GROUPS)]


def _sums(compared: ir.Table) -> dict[str, float]:
    counts: dict[str, Any] = {"n": _.count(), "same": _.same.sum(), "first": _.first.sum()}
    for side in SIDES:
        counts[f"length_{side}"] = _[f"{side}_n"].sum()
        counts[f"empty_{side}"] = (_[f"{side}_n"] == 0).sum()
    counts = {name: count.fill_null(0) for name, count in counts.items()}
    return summed(compared, {name: _[name] for name in ("overlap", "rbo")}, **counts)


def _quality(compared: ir.Table) -> pd.DataFrame:
    known = compared.filter(_.ndcg_of_primary.notnull())
    values: dict[str, Any] = {}
    for side in SIDES:
        first = known[f"reciprocal_of_{side}"]
        values[f"ndcg_{side}"] = _[f"ndcg_of_{side}"]
        values[f"reciprocal_{side}"] = first
        values[f"found_{side}"] = (first > 0).cast("float64")
        values[f"place_{side}"] = ibis.ifelse(first > 0, real(1.0) / first, real(0.0))
    return summed_by(known, values, {"served": "string"}, n=_.count())
