"""The exit code of each error, for every command that changes the flag."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from flags.errors import FlagsError, ServiceUnreachableError

REFUSED: Final = 2
"""Exit code of invalid input and of refusals: repeating the command will not help."""
FAILED: Final = 1
"""Exit code of temporary failures: a server does not answer, a program did not start."""
FOLLOWERS_MISSING: Final = 3
"""Exit code if the flag was changed in Unleash, but not every worker followed in time."""


class _RefusedException(click.ClickException):
    exit_code = REFUSED


class _FailedException(click.ClickException):
    exit_code = FAILED


@contextmanager
def exit_codes(*transient: type[FlagsError]) -> Iterator[None]:
    """Turn a FlagsError into click's `Error: <message>` with its exit code.

    `transient` are further error types of the command that are temporary failures.
    """
    try:
        yield
    except FlagsError as error:
        kinds = (*_transient(), *transient)
        kind = _FailedException if isinstance(error, kinds) else _RefusedException
        raise kind(str(error)) from error


def _transient() -> tuple[type[FlagsError], ...]:
    # Imported here, because it imports the client's HTTP library, which a command's help needs not.
    from flags.unleash.admin.errors import (
        RateLimitedError,
        UnleashFailedError,
        UnleashUnreachableError,
    )

    return UnleashUnreachableError, UnleashFailedError, RateLimitedError, ServiceUnreachableError
