"""The table of an output's parts: all pairs, the last days, segments, with and without a label."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from comparison.evidence.number_format import number, percent
from comparison.report.kinds.section import SectionTable
from flags.gate.evidence import AnswerEvidence, AnswerPart, PartRole

SEGMENT_ROWS: Final = 12
"""Values of segments that are shown, the ones with most pairs; the JSON has all counted ones."""


@dataclass(frozen=True, slots=True)
class PartColumn:
    """The heading of a column, and the function from a part to its cell."""

    heading: str
    of: Callable[[AnswerPart], str]


def shown_parts(evidence: AnswerEvidence) -> list[AnswerPart]:
    """Return the parts that are shown; none if the only part is all pairs."""
    segments = [each for each in evidence.parts if each.role is PartRole.SEGMENT]
    largest = sorted(segments, key=lambda each: -each.pairs)[:SEGMENT_ROWS]
    shown = [
        each for each in evidence.parts if each.role is not PartRole.SEGMENT or each in largest
    ]
    return shown if len(shown) > 1 else []


def part_table(evidence: AnswerEvidence, columns: Sequence[PartColumn]) -> list[SectionTable]:
    """Return the table in a list; the list is empty if no parts are shown."""
    shown = shown_parts(evidence)
    if not shown:
        return []
    rows = tuple(
        (each.name, f"{each.pairs:,}", *(column.of(each) for column in columns)) for each in shown
    )
    segments = sum(each.role is PartRole.SEGMENT for each in evidence.parts)
    more = segments - sum(each.role is PartRole.SEGMENT for each in shown)
    caption = "By segment and time" + (f", {more} more values not shown" if more else "")
    return [SectionTable(caption, ("", "pairs", *(each.heading for each in columns)), rows)]


def mean(part: AnswerPart, name: str, of: str | None = None) -> float | None:
    """Return a sum of a part divided by its pairs, or by the sum `of` (such as `labelled`)."""
    total = part.pairs if of is None else part.sums.get(of, 0.0)
    return part.sums[name] / total if total and name in part.sums else None


def labelled_share(heading: str, name: str) -> PartColumn:
    """Return a column with a share of the labelled pairs."""
    return PartColumn(heading, lambda part: percent(mean(part, name, "labelled")))


def labelled_mean(heading: str, name: str) -> PartColumn:
    """Return a column with a mean over the labelled pairs."""
    return PartColumn(heading, lambda part: number(mean(part, name, "labelled")))
