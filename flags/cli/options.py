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

if TYPE_CHECKING:  # imported when Unleash is called, not for a command's help
    from flags.unleash.admin import UnleashAdmin

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class UnleashAccess:
    """The options with the address of Unleash, the admin token, and the flag's place."""

    url: str
    token: str
    environment: str | None
    """None: the environment of the token."""
    project: str

    def admin(self) -> "UnleashAdmin":
        """Return a client of the Admin API.

        The environment is that of the option, of the token, or of the service's token: an admin
        token is valid for all, a service's token for one. It is never guessed by its name. Raises
        EnvironmentUnknownError, which lists the environments.
        """
        from flags.unleash.admin import UnleashAdmin
        from flags.unleash.admin.errors import EnvironmentUnknownError

        tokens = (self.token, os.environ.get("UNLEASH_API_TOKEN", ""))
        bound = (token_environment(each) for each in tokens)
        environment = self.environment or next(filter(None, bound), None)
        if environment is None:
            raise EnvironmentUnknownError(self._choice())
        return UnleashAdmin(self.url, self.token, environment, self.project)

    def _choice(self) -> str:
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
    """The address of Unleash; if it is missing, the error mentions flags in files."""

    def get_missing_message(self, *_: object, **_more: object) -> str:
        """Return a message that names the command for flags in files."""
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
    """Return an option for a file to which JSON lines are appended."""
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
    """Add the options of UnleashAccess; the command gets them as the parameter `unleash`."""
    return with_options(_UNLEASH, packed("unleash", UnleashAccess, command))


def packed(name: str, kind: type[Any], command: Command) -> Command:
    """Wrap `command` so that the fields of `kind` become one parameter, `name`, of that type."""

    @wraps(command)
    def unpacked(**values: Any) -> Any:
        own = {field.name: values.pop(field.name) for field in fields(kind)}
        return command(**values, **{name: kind(**own)})

    return unpacked


def with_options(options: tuple[Command, ...], command: Command) -> Command:
    """Add options to a command; its help lists them in this order."""
    for option in reversed(options):
        command = option(command)
    return command
