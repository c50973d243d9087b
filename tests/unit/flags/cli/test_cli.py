"""`bentoml migration`: listed without importing, imported when called."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points

import click
import pytest
from click.testing import CliRunner

from flags.cli import LazyGroup, migration


def commands() -> list[str]:
    return migration.list_commands(click.Context(migration))


def test_bentoml_finds_the_group_by_its_entry_point() -> None:
    (point,) = entry_points(group="bentoml.commands", name="migration")
    assert point.load() is migration


def test_commands_are_listed_in_alphabetical_order_with_their_line() -> None:
    shown = CliRunner().invoke(migration, ["--help"])
    assert shown.exit_code == 0
    assert commands() == sorted(commands())
    positions = [shown.output.index(f"\n  {name} ") for name in commands()]
    assert positions == sorted(positions)


@pytest.mark.parametrize("name", commands())
def test_each_command_is_there_and_has_help(name: str) -> None:
    command = migration.get_command(click.Context(migration), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    shown = CliRunner().invoke(migration, [name, "--help"])
    assert shown.exit_code == 0, shown.output
    assert command.help
    assert "Usage: " in shown.output


def test_an_unknown_command_is_an_error_that_names_it() -> None:
    shown = CliRunner().invoke(migration, ["comapre"])
    assert shown.exit_code == 2
    assert "No such command 'comapre'" in shown.output


def test_help_imports_no_command() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from flags.cli import migration\n"
        "assert CliRunner().invoke(migration, ['--help']).exit_code == 0\n"
        "print([name for name in sys.modules if name.startswith(('flags.', 'comparison'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "['flags.cli']"


def test_the_group_is_lazy() -> None:
    assert isinstance(migration, LazyGroup)
    assert import_module("flags.cli").migration is migration
