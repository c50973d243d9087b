"""The exit code of each error, for every command that changes the flag."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from flags.errors import FlagsError, ServiceUnreachableError

REFUSED: Final = 2
"""Exit code of bad input and of refusals: doing the same again will not help."""
FAILED: Final = 1
"""Exit code of what may work another time: nothing answers, a program did not start."""
FOLLOWERS_MISSING: Final = 3
"""Exit code of what was done in Unleash, but not followed by every worker in time."""


class _RefusedException(click.ClickException):
    exit_code = REFUSED


class _FailedException(click.ClickException):
    exit_code = FAILED


@contextmanager
def exit_codes(*transient: type[FlagsError]) -> Iterator[None]:
    """Turn a FlagsError into click's `Error: <message>` with the exit code it stands for.

    `transient` are errors of the command's own that may work another time.
    """
    try:
        yield
    except FlagsError as error:
        kinds = (*_transient(), *transient)
        kind = _FailedException if isinstance(error, kinds) else _RefusedException
        raise kind(str(error)) from error


def _transient() -> tuple[type[FlagsError], ...]:
    # Imported here: with the client, whose HTTP library the help of a command does without.
    from flags.unleash.admin.errors import (
        RateLimitedError,
        UnleashFailedError,
        UnleashUnreachableError,
    )

    return UnleashUnreachableError, UnleashFailedError, RateLimitedError, ServiceUnreachableError
