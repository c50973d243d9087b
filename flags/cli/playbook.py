"""`bentoml migration playbook`: write the plan of a migration, or check it."""

from datetime import timedelta
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flags.cli.exit_codes import exit_codes
from flags.playbook.durations import duration_text
from flags.playbook.file import read_playbook
from flags.playbook.model import Gate, Playbook, Step
from flags.playbook.template import write_playbook


@click.command("playbook")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--flag", metavar="KEY", help="Key of the flag: writes a playbook for it.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.option("--check", is_flag=True, help="Check the file, and print its steps.")
def playbook(path: Path, flag: str | None, force: bool, check: bool) -> None:
    """Write a commented playbook with all defaults to FILE, or check the one that is there.

    Errors name file, line, key and what is allowed: exit code 2.

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
            _print(path, read_playbook(path), Console(highlight=False))


def _print(path: Path, plan: Playbook, console: Console) -> None:
    console.print(Text(f"{path}: playbook of {plan.flag}, {_steps(plan)}"), soft_wrap=True)
    console.print()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("step")
    for name in ("rollout", "hold", "pairs", "labels"):
        table.add_column(name, justify="right")
    differs = [_differences(plan.gate, plan.gate_of(step)) for step in plan.steps]
    if any(differs):
        table.add_column("limits of its own")
    for step, difference in zip(plan.steps, differs, strict=True):
        row = [str(step.stage), f"{step.rollout} %", *_wanted(plan, step)]
        table.add_row(*row, *([difference] if any(differs) else []))
    console.print(table)
    console.print()
    console.print(Text(f"advance within   {_alarm_limits(plan.gate, 'advance')}"), soft_wrap=True)
    console.print(Text(f"rollback beyond  {_alarm_limits(plan.gate, 'rollback')}"), soft_wrap=True)
    console.print(
        Text(f"false rollback   {100 * plan.error_rate:g} % per candidate at most"), soft_wrap=True
    )


def _steps(plan: Playbook) -> str:
    total = sum((step.hold for step in plan.steps), timedelta())
    count = len(plan.steps)
    return f"{count} step{'s' if count > 1 else ''}, {duration_text(total)} at least"


def _wanted(plan: Playbook, step: Step) -> tuple[str, str, str]:
    labels = f"{plan.labels_wanted(step):,}"
    return duration_text(step.hold), f"{step.min_pairs:,}", labels


def _alarm_limits(gate: Gate, which: str) -> str:
    limits = getattr(gate, which)
    return (
        f"alarms {limits.alarm_ratio:g}x, by segment {limits.segment_alarm_ratio:g}x, failures "
        f"{100 * limits.failure_rate:g} points, p99 {limits.latency_p99:g}x, recall "
        f"{100 * limits.recall_loss:g} points"
    )


def _differences(usual: Gate, own: Gate) -> str:
    """Write the limits of a step that are not the playbook's: `advance.alarm_ratio 1.2`."""
    found = []
    for part in ("advance", "rollback"):
        for name, value in getattr(own, part):
            if value != getattr(getattr(usual, part), name):
                shown = duration_text(value) if isinstance(value, timedelta) else f"{value:g}"
                found.append(f"{part}.{name} {shown}")
    return ", ".join(found)
