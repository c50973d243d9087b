"""The options shared by the commands that change a flag, or ask the gate."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from flags.operate.default_files import AUDIT
from flags.unleash.token import token_environment

if TYPE_CHECKING:  # imported when Unleash is asked: the help of a command does without
    from flags.unleash.admin import UnleashAdmin

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class UnleashAccess:
    """The options that say where Unleash is, and who asks."""

    url: str
    token: str
    environment: str | None
    """None: the one that a token is bound to."""
    project: str

    def admin(self) -> "UnleashAdmin":
        """Return a client of its Admin API; raises EnvironmentUnknownError, with those there are.

        An admin token is of every environment; a service's token, which may be set beside it, is
        of one. None of several is taken because it has a usual name.
        """
        from flags.unleash.admin import UnleashAdmin
        from flags.unleash.admin.errors import EnvironmentUnknownError

        tokens = (self.token, os.environ.get("UNLEASH_API_TOKEN", ""))
        bound = (token_environment(each) for each in tokens)
        environment = self.environment or next(filter(None, bound), None)
        if environment is None:
            raise EnvironmentUnknownError(self._which())
        return UnleashAdmin(self.url, self.token, environment, self.project)

    def _which(self) -> str:
        from flags.unleash.admin import UnleashAdmin

        with UnleashAdmin(self.url, self.token, "", self.project) as admin:
            names = ", ".join(admin.environments())
        return (
            f"which environment? Project {self.project} has {names}, and the token is of every "
            "one: give --environment NAME, or set UNLEASH_ENVIRONMENT"
        )


environment_option: Final = click.option(
    "--environment",
    metavar="NAME",
    envvar="UNLEASH_ENVIRONMENT",
    show_envvar=True,
    help="Unleash environment. Unset: that of the token, or of UNLEASH_API_TOKEN.",
)
project_option: Final = click.option(
    "--project", default="default", show_default=True, help="Unleash project."
)


class _ServerUrl(click.types.StringParamType):
    """The address of Unleash; without one, the flag may be in a file."""

    def get_missing_message(self, *_: object, **_more: object) -> str:
        """Say what changes a flag without Unleash."""
        return (
            "This asks an Unleash server. A flag in a file is changed by `bentoml migration file "
            "FILE --flag KEY` with --off, or with --rollout"
        )


_UNLEASH: Final = (
    click.option(
        "--url",
        type=_ServerUrl(),
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
    environment_option,
    project_option,
)


def record_option(name: str, path: Path, variable: str, text: str) -> Command:
    """Return the option of a file to which lines are added."""
    return click.option(
        name,
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        default=path,
        show_default=True,
        envvar=variable,
        show_envvar=True,
        help=f"{text}, one JSON line each.",
    )


audit_option: Final = record_option(
    "--audit", AUDIT, "MIGRATION_AUDIT", "Where changes are recorded"
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
