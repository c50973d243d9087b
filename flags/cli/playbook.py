"""`bentoml migration playbook`: write the plan of a migration, or check it."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flags.cli.exit_codes import exit_codes
from flags.playbook.durations import duration_text
from flags.playbook.file import read_playbook
from flags.playbook.listing import Group, groups
from flags.playbook.model import Playbook, Step
from flags.playbook.template import write_playbook
from flags.printable import printable

_WIDTH: Final = 140
"""Width in characters if the output is not a terminal."""


@click.command("playbook")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--flag", metavar="KEY", help="Key of the flag: writes a playbook for it.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.option("--check", is_flag=True, help="Check the file, and explain each key.")
def playbook(path: Path, flag: str | None, force: bool, check: bool) -> None:
    """Write a commented playbook with all defaults to FILE, or check the one that is there.

    Beside a new playbook, `playbook.schema.json` is written, by which editors complete it and
    check it. `--check` lists each key with its value, whether that is given or the default, and
    what it means. Errors name file, line, key and what is allowed: exit code 2.

    Example: bentoml migration playbook playbook.yaml --flag fraud-detector-v2

    Example: bentoml migration playbook playbook.yaml --check
    """
    if check == bool(flag) or (check and force):
        raise click.UsageError("give either --flag, to write a playbook, or --check")
    with exit_codes():
        if flag:
            write_playbook(path, flag, force=force)
            click.echo(f"{path}: playbook of {flag}, {_steps(read_playbook(path))}")
        else:
            _print(path, read_playbook(path), _console())


def _console() -> Console:
    """Return the terminal; a file or a pipe gets a width in which each key has one line."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def _print(path: Path, plan: Playbook, console: Console) -> None:
    console.print(Text(f"{path}: playbook of {plan.flag}, {_steps(plan)}"), soft_wrap=True)
    _print_steps(plan, console)
    explained: set[tuple[str, str]] = set()
    for group in groups(plan):
        meaning = f": {group.meaning}" if group.meaning else ""
        console.print()
        console.print(Text(f"{group.name}{meaning}", style="bold"), soft_wrap=True)
        console.print(_listing(group, explained))


def _print_steps(plan: Playbook, console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("step")
    for name in ("rollout", "hold", "pairs", "labels", "approval"):
        table.add_column(name, justify="right")
    for step in plan.steps:
        table.add_row(
            str(step.stage), f"{step.rollout} %", *_requirements(plan, step), step.approval or "-"
        )
    console.print()
    console.print(table)


def _listing(group: Group, explained: set[tuple[str, str]]) -> Table:
    """Return the table of a group: key, value, `given` or `default`, and meaning.

    Meanings that are in `explained`, from an earlier group of the same kind, are not repeated.
    """
    kind = group.name if group.name.startswith("gate.") else group.name.partition(".")[0]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column()
    for entry in group.entries:
        meaning = "" if (kind, entry.key) in explained else entry.meaning
        explained.add((kind, entry.key))
        table.add_row(*_cells(entry.key, entry.value, entry.is_given), Text(meaning))
        for place, value in entry.exceptions:
            table.add_row(*_cells(f"  {place}", value, is_given=True), Text())
    return table


def _cells(key: str, value: str, is_given: bool) -> tuple[Text, Text, Text]:
    style = "bold" if is_given else ""
    origin = Text("given" if is_given else "default", style=style or "dim")
    return Text(printable(key), style), Text(printable(value), style), origin


def _steps(plan: Playbook) -> str:
    total = sum((step.hold for step in plan.steps), timedelta())
    count = len(plan.steps)
    return f"{count} step{'s' if count > 1 else ''}, {duration_text(total)} at least"


def _requirements(plan: Playbook, step: Step) -> tuple[str, str, str]:
    labels = f"{plan.labels_wanted(step):,}"
    return duration_text(step.hold), f"{step.min_pairs:,}", labels
