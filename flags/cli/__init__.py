"""The command group `bentoml migration`; each command is imported when it is called."""

from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = {
    "advance": ("comparison.cli.advance", "Go one step up, if the gate says so."),
    "autopilot": ("comparison.cli.autopilot", "Advance, hold or roll back at an interval."),
    "compact": ("comparison.cli.compact", "Turn pair files into Parquet files, incrementally."),
    "compare": ("comparison.cli.compare", "Compare the recorded pairs of both models."),
    "file": ("flags.cli.file", "Keep the flag in a file, where there is no Unleash."),
    "dashboard": ("flags.cli.dashboard", "Run a real Unleash server on this machine."),
    "gate": ("comparison.cli.gate", "Judge the migration: the exit code is the verdict."),
    "init": ("flags.cli.init", "Create the migration's flags in an Unleash server."),
    "judge": ("comparison.cli.judge", "Ask a judge which of two recorded texts is better."),
    "playbook": ("flags.cli.playbook", "Write or check the plan of a migration."),
    "retire": (
        "comparison.cli.retire",
        "Check that the primary can go, and say what to remove.",
    ),
    "rollback": ("flags.cli.rollback", "Switch the flag off, and watch the workers follow."),
    "status": ("flags.cli.status", "Show the stage, the last change, and what workers see."),
}
"""By command name: the module with the click command of that name, and its line in the help."""

_NOT_IN_A_BENTO: Final = ("comparison", "flags.unleash.local")
"""Packages that are not part of a Bento, because it only serves."""


class LazyGroup(click.Group):
    """A group that lists commands without importing them, so that `--help` loads no pandas."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in alphabetical order."""
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; UsageError if this is a Bento without the command's code."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        try:
            command: click.Command = getattr(import_module(_COMMANDS[cmd_name][0]), cmd_name)
        except ModuleNotFoundError as error:
            if error.name not in _NOT_IN_A_BENTO:
                raise
            raise click.UsageError(
                f"{cmd_name} is not in this Bento: install bentoml-flags on a machine of yours"
            ) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from `_COMMANDS`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup)
def migration() -> None:
    """Replace a model by its successor: shadow, canary, ramp, deprecation."""
