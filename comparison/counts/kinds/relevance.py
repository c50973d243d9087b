"""Normalised discounted cumulative gain (nDCG): how high in a ranking the relevant items are.

A label lists the ids that are relevant to a request: `17`, or `17|4`, or with grades `17=3|4=1`;
the default grade is 1. The gain of an item is its grade, its discount 1 / log2(1 + place):
Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002).
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.types as ir
from ibis import _

from comparison.counts.bins import real
from comparison.engines.text_functions import count_occurrences, split_at
from comparison.errors import RelevanceUnfitError
from comparison.pairs.sides import SIDES

MOST_GRADES: Final = 10

DRAWN: Final = 5_000
"""Labelled pairs whose lists are compared with the labels of other requests."""

_OTHERS: Final = 10
"""Other labels that each of these lists is compared with."""

_GRADE: Final = r"=([^=|]*)$"
_BARS: Final = r"^\|+|\|+$"
"""Bars at both ends: recorded lists have them."""


@dataclass(frozen=True, slots=True)
class Relevance:
    """The grades that occur, largest first, and the depth to which places count."""

    grades: tuple[tuple[str, float], ...]
    """Each grade as written, and its value."""
    depth: int

    @classmethod
    def of(cls, rows: ir.Table, read: ir.Table, output: str, depth: int) -> "Relevance | None":
        """Query the grades; None if there are no labels. Raises RelevanceUnfitError."""
        if "label" not in rows.columns:
            return None
        parts = read.select(part=split_at(label_text(read), "|").unnest())
        written = parts.filter(_.part.contains("=")).select(grade=_.part.re_extract(_GRADE, 1))
        found = written.distinct().limit(MOST_GRADES + 1).to_pyarrow()["grade"].to_pylist()
        grades = [(str(each), _value(output, str(each))) for each in found if each is not None]
        if len(grades) > MOST_GRADES:
            raise RelevanceUnfitError(output, f"more than {MOST_GRADES} different grades")
        return cls(tuple(sorted(grades, key=lambda each: (-each[1], each[0]))), depth)

    def add_to(self, compared: ir.Table) -> ir.Table:
        """Add nDCG and reciprocal rank of both lists; they are missing without a label."""
        text = label_text(compared)
        table = compared.mutate(label_text=text, label_ids=split_at(text, "|"))
        ideal = self._ideal(table)
        known = table.label.notnull() & (ideal > 0)
        found: dict[str, Any] = {}
        for side in SIDES:
            gains = [self._gain(table, side, place) for place in range(1, self.depth + 1)]
            places = [ibis.ifelse(g > 0, real(1.0 / n), real(0.0)) for n, g in enumerate(gains, 1)]
            discounted = [gain * real(_discount(n)) for n, gain in enumerate(gains, 1)]
            total = sum(discounted[1:], discounted[0])
            found[f"ndcg_of_{side}"] = ibis.ifelse(known, total / ideal, None)
            found[f"reciprocal_of_{side}"] = ibis.ifelse(
                known, ibis.greatest(*places, real(0.0)), None
            )
        both = table.mutate(**found).drop("label_text", "label_ids", "primary_ids", "candidate_ids")
        difference = both.ndcg_of_candidate - both.ndcg_of_primary
        return both.mutate(
            **{f"ndcg_{s}": ibis.ifelse(both.served == s, difference, None) for s in SIDES}
        )

    def _gain(self, table: ir.Table, side: str, place: int) -> Any:
        """Return the grade of the id at a place, 0 if it is not relevant or beyond the end."""
        item = table[f"{side}_ids"][place : place + 1].join("")
        gain: Any = table.label_ids.contains(item).cast("float64")
        for written, value in self.grades:
            graded = table.label_ids.contains(item.concat(f"={written}"))
            gain += graded.cast("float64") * real(value)
        return gain

    def _ideal(self, table: ir.Table) -> Any:
        """Return the gain of the ideal order: items by grade, largest first."""
        ended = table.label_text.concat("|")
        counts = {w: count_occurrences(ended, f"={w}|") for w, _value in self.grades}
        ungraded = count_occurrences(ended, "|")
        for each in counts.values():
            ungraded = ungraded - each
        parts = [*((value, counts[w]) for w, value in self.grades), (1.0, ungraded)]
        total: Any = real(0.0)
        before: Any = ibis.literal(0, "int64")
        for value, n in sorted(parts, key=lambda each: -each[0]):
            after = before + n
            total += real(value) * (self._discounts(after) - self._discounts(before))
            before = after
        return total

    def _discounts(self, places: Any) -> Any:
        """Return the sum of the discounts of the first `places`, up to the depth."""
        sums = [0.0]
        for place in range(1, self.depth + 1):
            sums.append(sums[-1] + _discount(place))
        cases = [(places == n, real(total)) for n, total in enumerate(sums[:-1])]
        return ibis.cases(*cases, else_=real(sums[-1]))


def label_text(rows: ir.Table) -> Any:
    """Return the label as it was written; an empty text if there is none."""
    kind = rows.label.type()
    text: Any = rows.label
    if kind.is_boolean():
        text = ibis.ifelse(rows.label, "1", "0")
    elif kind.is_floating():
        text = rows.label.cast("int64").cast("string")
    return text.fill_null("").re_replace(_BARS, "")


def _discount(place: int) -> float:
    return 1 / math.log2(1 + place)


def _value(output: str, written: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise RelevanceUnfitError(output, f"the grade {written!r}, which is not a number from 0 on")
    return value


def found_by_chance(compared: ir.Table, depth: int) -> dict[str, float]:
    """Count by side the lists with a relevant item, by their own label and by those of others.

    If the labels belong to other requests, both counts are equal but for chance.
    """
    known = compared.filter(_.ndcg_of_primary.notnull())
    drawn = known.select("request_id", *SIDES, text=label_text(known))
    rows = drawn.order_by("request_id", *SIDES, "text").limit(DRAWN).to_pyarrow().to_pylist()
    relevant = [_relevant(str(row["text"])) for row in rows]
    sums = {"drawn": float(len(rows))}
    others = range(1, min(_OTHERS, len(rows) - 1) + 1)
    for side in SIDES:
        lists = [str(row[side]).strip("|").split("|")[:depth] for row in rows]
        sums[f"drawn_{side}"] = float(_hits(lists, relevant))
        moved = (_hits(lists, relevant[n:] + relevant[:n]) for n in others)
        sums[f"chance_{side}"] = sum(moved) / len(others) if others else 0.0
    return sums


def _relevant(text: str) -> frozenset[str]:
    """Return the ids of a label with a grade above 0."""
    parts = (each.partition("=") for each in text.split("|"))
    return frozenset(item for item, _equals, grade in parts if item and float(grade or 1) > 0)


def _hits(lists: list[list[str]], relevant: list[frozenset[str]]) -> int:
    return sum(not own.isdisjoint(shown) for shown, own in zip(lists, relevant, strict=True))
