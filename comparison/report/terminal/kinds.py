"""The sections of outputs that are not scores, for a terminal."""

from rich.console import Console

from comparison.report.kinds.sections import sections
from comparison.report.terminal.tables import add_row, new_table, note, print_table
from flags.gate.evidence import Evidence


def print_kinds(evidence: Evidence, console: Console) -> None:
    """Print the tables and notes of each section; the title is above the first table."""
    for section in sections(evidence):
        for position, table in enumerate(section.tables):
            title = section.title if position == 0 else ""
            printed = new_table(title, table.caption, *table.headings[1:])
            for row in table.rows:
                add_row(printed, *row)
            print_table(printed, console)
        for text in section.notes:
            note(console, text)
