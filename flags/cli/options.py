"""The options shared by all commands that change a flag."""

from collections.abc import Callable
from typing import Any, Final

import click

Command = Callable[..., Any]

_UNLEASH: Final = (
    click.option(
        "--url",
        required=True,
        envvar="UNLEASH_URL",
        show_envvar=True,
        help="Unleash, with or without /api.",
    ),
    click.option(
        "--token",
        required=True,
        envvar="UNLEASH_ADMIN_TOKEN",
        show_envvar=True,
        help="Admin token. Prefer the variable: other users of the machine see arguments.",
    ),
    click.option(
        "--environment", default="development", show_default=True, help="Unleash environment."
    ),
    click.option("--project", default="default", show_default=True, help="Unleash project."),
)


def unleash_options(command: Command) -> Command:
    """Add where Unleash is, and who asks."""
    return with_options(_UNLEASH, command)


def with_options(options: tuple[Command, ...], command: Command) -> Command:
    """Add options to a command, so that its help has them in this order."""
    for option in reversed(options):
        command = option(command)
    return command
