"""A section on one output: tables and notes, the same on the page and in the terminal."""

from collections.abc import Iterable
from dataclasses import dataclass

from comparison.report.html.charts.plot import Plot
from flags.gate.evidence import AnswerEvidence


@dataclass(frozen=True, slots=True)
class SectionTable:
    """A table whose first column has texts, the others figures."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The tables, notes and charts of one output."""

    title: str
    tables: tuple[SectionTable, ...]
    notes: tuple[str, ...] = ()
    charts: tuple[Plot, ...] = ()
    """Shown on the page only, after the tables."""


def labelled_note(evidence: AnswerEvidence, covered: Iterable[str]) -> str:
    """Return a note on the number of labels, and their coverage by the side that answered."""
    by_side = ", ".join(covered)
    return f"{evidence.labelled:,} labelled of {evidence.paired:,} pairs" + (
        f"; labelled by who answered: {by_side}" if by_side else ""
    )
