"""Tables and notes for a terminal; control characters are replaced."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flags.printable import printable


def new_table(title: str, *headings: str, left: int = 1) -> Table:
    """Return an empty table whose first `left` columns have texts, the others figures."""
    table = Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for position, heading in enumerate(headings):
        table.add_column(Text(heading), justify="left" if position < left else "right")
    return table


def add_row(table: Table, *cells: str, style: str = "") -> None:
    """Add a row of plain text; `style` is the style of its first cell."""
    first, *others = (printable(cell) for cell in cells)
    table.add_row(Text(first, style=style), *map(Text, others))


def print_table(table: Table, console: Console) -> None:
    """Print a table below an empty line."""
    console.print()
    console.print(table)


def print_pairs(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    _print_two(console, rows, gap=2)


def print_list(console: Console, texts: Iterable[str]) -> None:
    """Print a list of texts, each with a dash and wrapped beside it."""
    _print_two(console, (("-", text) for text in texts), gap=1)


def _print_two(console: Console, rows: Iterable[tuple[str, str]], gap: int) -> None:
    """Print two columns; the second is wrapped anywhere, since a path may be longer than a line."""
    grid = Table.grid(padding=(0, gap, 0, 0))
    grid.add_column()
    grid.add_column(overflow="fold")
    for name, value in rows:
        add_row(grid, name, value)
    console.print(grid)


def note(console: Console, text: str) -> None:
    """Print a dimmed note."""
    console.print(Text(printable(text), style="dim"))


def listed(counts: dict[str, int], limit: int = 4) -> str:
    """Write the first `limit` names with their counts, and how many more names there are."""
    names = [f"{name} ({count:,})" for name, count in list(counts.items())[:limit]]
    more = len(counts) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")
