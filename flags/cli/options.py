"""The options shared by all commands that change a flag."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, Final

import click

from flags.unleash.admin import UnleashAdmin

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class UnleashAccess:
    """The options that say where Unleash is, and who asks."""

    url: str
    token: str
    environment: str
    project: str

    def admin(self, **settings: Any) -> UnleashAdmin:
        """Return a client of its Admin API; `settings` as UnleashAdmin takes them."""
        return UnleashAdmin(self.url, self.token, self.environment, self.project, **settings)


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
    """Add the options of UnleashAccess, which the command takes as `unleash`."""
    return with_options(_UNLEASH, packed("unleash", UnleashAccess, command))


def packed(name: str, kind: type[Any], command: Command) -> Command:
    """Return a command that takes the fields of `kind`, and gives them to `command` as one."""

    @wraps(command)
    def unpacked(**values: Any) -> Any:
        own = {field.name: values.pop(field.name) for field in fields(kind)}
        return command(**values, **{name: kind(**own)})

    return unpacked


def with_options(options: tuple[Command, ...], command: Command) -> Command:
    """Add options to a command, so that its help has them in this order."""
    for option in reversed(options):
        command = option(command)
    return command
