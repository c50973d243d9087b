"""A section on one output: tables and remarks, the same on the page and in the terminal."""

from collections.abc import Iterable
from dataclasses import dataclass

from comparison.report.html.charts.plot import Plot
from flags.gate.evidence import AnswerEvidence


@dataclass(frozen=True, slots=True)
class SectionTable:
    """Hold a table whose first column has words, the others figures."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Hold what is said of one output."""

    title: str
    tables: tuple[SectionTable, ...]
    notes: tuple[str, ...] = ()
    charts: tuple[Plot, ...] = ()
    """On the page, after the tables."""


def labelled_note(found: AnswerEvidence, covered: Iterable[str]) -> str:
    """Say how many labels there are, and of whose answers."""
    by_side = ", ".join(covered)
    return f"{found.labelled:,} labelled of {found.paired:,} pairs" + (
        f"; labelled by who answered: {by_side}" if by_side else ""
    )
